"""Ages as upstream prints them: `45s`, `3m20s`, `5h`, `2d3h`, `400d`, `2y35d`."""

from __future__ import annotations

from typing import Final

from kubeinstall.api import times

UNKNOWN: Final = "<unknown>"
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 24


def human(seconds: float) -> str:
    """A duration in two units at most; up to two seconds in the future count as now."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 2 * _MINUTE:
        return f"{max(whole, 0)}s"
    minutes, hours = whole // _MINUTE, whole // _HOUR
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 3 * 60:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 2 * _DAY:
        return f"{hours}h"
    days = hours // _DAY
    if hours < 8 * _DAY:
        return _two(days, "d", hours % _DAY, "h")
    if hours < 2 * 365 * _DAY:
        return f"{days}d"
    if hours < 8 * 365 * _DAY:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}{small}{small_unit}" if small else f"{large}{unit}"


def since(moment: str | None, now: float) -> str:
    """The age at `now` (Unix seconds) of an RFC 3339 time; `<unknown>` without one."""
    if not moment:
        return UNKNOWN
    try:
        return human(now - times.unix(moment))
    except ValueError:
        return UNKNOWN
