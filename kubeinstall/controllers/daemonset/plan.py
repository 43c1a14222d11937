"""Decides which daemon pods to create and delete: on each node, and in a rolling update."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from kubeinstall.api.types import Object
from kubeinstall.controllers.common import owners, pods
from kubeinstall.controllers.common.intstr import scaled
from kubeinstall.controllers.daemonset.nodes import HASH_LABEL, Fit


@dataclass(slots=True)
class Plan:
    """Nodes that need a pod, pods that must go, and those among them that failed or finished."""

    create: list[str] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)
    failed: list[Object] = field(default_factory=list)
    succeeded: list[Object] = field(default_factory=list)


def surge_and_unavailable(daemon_set: Object, desired: int) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in nodes, both rounded up; never both 0."""
    rolling = (daemon_set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge", 0), desired, round_up=True)
    unavailable = scaled(rolling.get("maxUnavailable", 1), desired, round_up=True)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, unavailable


def _by_age(found: list[Object]) -> list[Object]:
    return sorted(
        found,
        key=lambda p: (
            not pods.node_name(p),
            p["metadata"].get("creationTimestamp") or "",
            p["metadata"]["name"],
        ),
    )


def place(
    fit: Fit, node: str, found: list[Object], revision: str, surge: int, wait: int, now: datetime
) -> Plan:
    """What one node needs now, whatever the template's age."""
    plan = Plan()
    if not fit.keep:
        plan.delete = [p for p in found if not owners.deleting(p)]
        return plan
    if fit.run and not found:
        plan.create.append(node)
        return plan
    running: list[Object] = []
    for pod in found:
        if owners.deleting(pod):
            continue
        if pods.phase(pod) == "Failed":
            plan.failed.append(pod)
        elif pods.phase(pod) == "Succeeded":
            plan.succeeded.append(pod)
        else:
            running.append(pod)
    if len(running) > 1:
        plan.delete += _surplus(_by_age(running), revision, surge, wait, now)
    return plan


def _surplus(
    running: list[Object], revision: str, surge: int, wait: int, now: datetime
) -> list[Object]:
    if surge == 0:
        return running[1:]
    new = [p for p in running if is_updated(p, revision)]
    old = [p for p in running if not is_updated(p, revision)]
    gone = new[1:] + old[1:]
    # The new one takes over when it is available, or at once when the old one is of no use.
    if new and old and (not pods.ready(old[0]) or pods.available(new[0], wait, now)):
        gone.append(old[0])
    return gone


def is_updated(pod: Object, revision: str) -> bool:
    """The pod is of the current template."""
    return owners.labels_of(pod).get(HASH_LABEL) == revision


def _new_and_old(found: list[Object], revision: str) -> tuple[Object | None, Object | None, bool]:
    """(new, old, unambiguous) of one node, without those that are going."""
    new = [p for p in found if not owners.deleting(p) and is_updated(p, revision)]
    old = [p for p in found if not owners.deleting(p) and not is_updated(p, revision)]
    return (
        new[0] if new else None,
        old[0] if old else None,
        len(new) <= 1 and len(old) <= 1,
    )


def roll(
    by_node: dict[str, list[Object]],
    revision: str,
    surge: int,
    unavailable: int,
    wait: int,
    now: datetime,
) -> Plan:
    """The next step of a rolling update; `by_node` has every node that should run a pod."""
    if surge:
        return _roll_surging(by_node, revision, surge, wait, now)
    return _roll_replacing(by_node, revision, unavailable, wait, now)


def _roll_replacing(
    by_node: dict[str, list[Object]], revision: str, unavailable: int, wait: int, now: datetime
) -> Plan:
    down = 0
    free: list[Object] = []
    candidates: list[Object] = []
    for found in by_node.values():
        new, old, clear = _new_and_old(found, revision)
        if not clear or (new is None) == (old is None):
            # Placement has something to do here first.
            down += 1
        elif new is not None:
            down += not pods.available(new, wait, now)
        elif old is not None and not pods.available(old, wait, now):
            # It serves nobody: replacing it costs nothing.
            free.append(old)
            down += 1
        elif old is not None:
            candidates.append(old)
    return Plan(delete=free + candidates[: max(0, unavailable - down)])


def _roll_surging(
    by_node: dict[str, list[Object]], revision: str, surge: int, wait: int, now: datetime
) -> Plan:
    plan = Plan()
    surging = 0
    free: list[str] = []
    candidates: list[str] = []
    for node, found in by_node.items():
        new, old, clear = _new_and_old(found, revision)
        if not clear:
            surging += 1
        elif old is None:
            continue
        elif new is None:
            (candidates if pods.available(old, wait, now) else free).append(node)
        elif pods.available(new, wait, now):
            plan.delete.append(old)
        else:
            surging += 1
    plan.create = free + candidates[: max(0, surge - surging)]
    return plan
