"""From the count that metrics ask for to the one that is set: bounds, rates and stabilization.

As upstream's `normalizeDesiredReplicas`, with and without `spec.behavior`. Times are in seconds of a clock that only
goes forward.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from kubeinstall.api.types import Object

DOWN_WINDOW = 300.0
_KEEP_SECONDS = 3600.0  # the longest window and the longest policy period

STABILIZED_DOWN = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
STABILIZED_UP = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
READY = ("ReadyForNewScale", "recommended size matches current size")
IN_RANGE = ("DesiredWithinRange", "the desired count is within the acceptable range")
TOO_FEW = (
    "TooFewReplicas",
    "the desired replica count is less than the minimum replica count",
)
TOO_MANY = (
    "TooManyReplicas",
    "the desired replica count is more than the maximum replica count",
)
UP_LIMIT = (
    "ScaleUpLimit",
    "the desired replica count is increasing faster than the maximum scale rate",
)
DOWN_LIMIT = (
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
)


@dataclass(slots=True)
class History:
    """What was recommended and done for one autoscaler: (time, count) and (time, change)."""

    recommended: list[tuple[float, int]] = field(default_factory=list)
    ups: list[tuple[float, int]] = field(default_factory=list)
    downs: list[tuple[float, int]] = field(default_factory=list)

    def scaled(self, before: int, after: int, now: float) -> None:
        """A change that was made."""
        (self.ups if after > before else self.downs).append((now, abs(after - before)))

    def trim(self, now: float) -> None:
        """Forget what no window reaches any more."""
        for listed in (self.recommended, self.ups, self.downs):
            listed[:] = [entry for entry in listed if now - entry[0] <= _KEEP_SECONDS]


@dataclass(frozen=True, slots=True)
class Decision:
    """The count, and (reason, message) of the conditions AbleToScale and ScalingLimited."""

    replicas: int
    able: tuple[str, str]
    limited: bool
    limit: tuple[str, str]


def decide(spec: Object, current: int, wanted: int, history: History, now: float) -> Decision:
    """The count to set; remembers the recommendation."""
    least, most = int(spec.get("minReplicas") or 1), int(spec["maxReplicas"])
    if spec.get("minReplicas") == 0:
        least = 0
    behavior = spec.get("behavior")
    history.trim(now)
    if behavior is None:
        recent = [count for at, count in history.recommended if now - at < DOWN_WINDOW]
        stable = max([wanted, *recent])
        why = STABILIZED_DOWN
        bounded, limit = _bounded(current, stable, least, most)
    else:
        stable = _stabilized(behavior, current, wanted, history, now)
        why = STABILIZED_UP if wanted >= current else STABILIZED_DOWN
        bounded, limit = _rated(behavior, current, stable, least, most, history, now)
    history.recommended.append((now, wanted))
    able = READY if stable == wanted else why
    return Decision(bounded, able, bounded != stable, limit)


def _bounded(current: int, wanted: int, least: int, most: int) -> tuple[int, tuple[str, str]]:
    fastest = max(2 * current, 4)
    if wanted < least:
        return least, TOO_FEW
    if wanted > min(most, fastest):
        return (most, TOO_MANY) if most <= fastest else (fastest, UP_LIMIT)
    return wanted, IN_RANGE


def _stabilized(behavior: Object, current: int, wanted: int, history: History, now: float) -> int:
    up_window = _window(behavior, "scaleUp", 0.0)
    down_window = _window(behavior, "scaleDown", DOWN_WINDOW)
    up = down = wanted
    for at, count in history.recommended:
        if now - at < up_window:
            up = min(up, count)
        if now - at < down_window:
            down = max(down, count)
    return min(max(current, up), down)


def _window(behavior: Object, direction: str, default: float) -> float:
    value = (behavior.get(direction) or {}).get("stabilizationWindowSeconds")
    return default if value is None else float(value)


def _rated(
    behavior: Object,
    current: int,
    wanted: int,
    least: int,
    most: int,
    history: History,
    now: float,
) -> tuple[int, tuple[str, str]]:
    if wanted > current:
        limit = max(current, _up_limit(behavior.get("scaleUp") or {}, current, history, now))
        ceiling, reason = (limit, UP_LIMIT) if most > limit else (most, TOO_MANY)
        return (ceiling, reason) if wanted > ceiling else (wanted, IN_RANGE)
    if wanted < current:
        limit = min(current, _down_limit(behavior.get("scaleDown") or {}, current, history, now))
        floor, reason = (limit, DOWN_LIMIT) if least < limit else (least, TOO_FEW)
        return (floor, reason) if wanted < floor else (wanted, IN_RANGE)
    return wanted, IN_RANGE


def _up_limit(rules: Object, current: int, history: History, now: float) -> int:
    def percent(start: int, value: int) -> int:
        return math.ceil(start * (1 + value / 100))

    policies = rules.get("policies") or [
        {"type": "Percent", "value": 100, "periodSeconds": 15},
        {"type": "Pods", "value": 4, "periodSeconds": 15},
    ]
    found = _limits(policies, current, history, now, 1, percent)
    return _select(rules, current, found, most_change=max, least_change=min)


def _down_limit(rules: Object, current: int, history: History, now: float) -> int:
    def percent(start: int, value: int) -> int:
        return int(start * (1 - value / 100))

    policies = rules.get("policies") or [{"type": "Percent", "value": 100, "periodSeconds": 15}]
    found = _limits(policies, current, history, now, -1, percent)
    return _select(rules, current, found, most_change=min, least_change=max)


def _limits(
    policies: list[Object],
    current: int,
    history: History,
    now: float,
    sign: int,
    percent: Callable[[int, int], int],
) -> list[int]:
    found = []
    for policy in policies:
        period = float(policy["periodSeconds"])
        added = sum(change for at, change in history.ups if now - at < period)
        removed = sum(change for at, change in history.downs if now - at < period)
        start = current - added + removed
        value = int(policy["value"])
        found.append(percent(start, value) if policy["type"] == "Percent" else start + sign * value)
    return found


def _select(
    rules: Object,
    current: int,
    found: list[int],
    *,
    most_change: Callable[[list[int]], int],
    least_change: Callable[[list[int]], int],
) -> int:
    policy = rules.get("selectPolicy") or "Max"
    if policy == "Disabled":
        return current
    return least_change(found) if policy == "Min" else most_change(found)
