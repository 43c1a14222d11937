"""Facts about a Deployment and its ReplicaSets that the steps of a rollout are decided by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubeinstall.api.types import Object
from kubeinstall.controllers.common.intstr import scaled

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
#: `progressDeadlineSeconds` and `revisionHistoryLimit` of this mean "none".
UNLIMITED = 2**31 - 1


def replicas(obj: Object) -> int:
    """`spec.replicas`, 1 when it is not given."""
    value = obj["spec"].get("replicas")
    return 1 if value is None else int(value)


def status_count(obj: Object, field: str) -> int:
    """A count in the status, 0 when absent."""
    return int((obj.get("status") or {}).get(field) or 0)


def notes(obj: Object) -> dict[str, str]:
    """The annotations; an empty dict when there are none."""
    return obj["metadata"].get("annotations") or {}


def is_rolling(deployment: Object) -> bool:
    """The strategy is RollingUpdate."""
    return _strategy(deployment).get("type") == "RollingUpdate"


def _strategy(deployment: Object) -> dict[str, Any]:
    return deployment["spec"].get("strategy") or {"type": "RollingUpdate"}


def _fences(deployment: Object) -> tuple[int, int]:
    """(surge, unavailable) in pods; never both 0, or nothing could move."""
    rolling = _strategy(deployment).get("rollingUpdate") or {}
    wanted = replicas(deployment)
    surge = scaled(rolling.get("maxSurge", "25%"), wanted, round_up=True)
    unavailable = scaled(rolling.get("maxUnavailable", "25%"), wanted, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, unavailable


def max_surge(deployment: Object) -> int:
    """How many pods may exist above the number wanted."""
    return _fences(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Object) -> int:
    """How many of the wanted pods may be unavailable."""
    if not is_rolling(deployment) or replicas(deployment) == 0:
        return 0
    return min(_fences(deployment)[1], replicas(deployment))


def total(sets: Iterable[Object]) -> int:
    """The pods that ReplicaSets ask for together."""
    return sum(replicas(rs) for rs in sets)


def total_status(sets: Iterable[Object], field: str) -> int:
    """A count of their statuses, summed."""
    return sum(status_count(rs, field) for rs in sets)


def active(sets: Iterable[Object]) -> list[Object]:
    """Those that ask for pods."""
    return [rs for rs in sets if replicas(rs) > 0]


def by_age(sets: Iterable[Object]) -> list[Object]:
    """The oldest first; names break ties."""
    return sorted(
        sets, key=lambda rs: (rs["metadata"].get("creationTimestamp") or "", rs["metadata"]["name"])
    )


def revision(obj: Object) -> int:
    """The revision annotation, 0 when absent or unreadable."""
    text = notes(obj).get(REVISION) or "0"
    return int(text) if text.isdigit() else 0


def _without_hash(template: Object) -> Object:
    meta = dict(template.get("metadata") or {})
    labels = {k: v for k, v in (meta.get("labels") or {}).items() if k != HASH_LABEL}
    meta.pop("creationTimestamp", None)
    meta.pop("labels", None)
    if labels:
        meta["labels"] = labels
    return {**template, "metadata": meta}


def same_template(one: Object, other: Object) -> bool:
    """Equal pod templates but for the hash label."""
    return _without_hash(one) == _without_hash(other)


def find_new(deployment: Object, sets: Iterable[Object]) -> Object | None:
    """The ReplicaSet with the Deployment's template; of several the oldest, as upstream chooses."""
    template = deployment["spec"]["template"]
    for rs in by_age(sets):
        if same_template(rs["spec"].get("template") or {}, template):
            return rs
    return None


def has_deadline(deployment: Object) -> bool:
    """Progress is watched with a deadline."""
    return (deployment["spec"].get("progressDeadlineSeconds") or UNLIMITED) != UNLIMITED


def complete(deployment: Object, status: Object) -> bool:
    """All pods are of the new template and available, and no old ones are left."""
    wanted = replicas(deployment)
    return (
        (status.get("updatedReplicas") or 0) == wanted
        and (status.get("replicas") or 0) == wanted
        and (status.get("availableReplicas") or 0) == wanted
        and (status.get("observedGeneration") or 0)
        >= (deployment["metadata"].get("generation") or 0)
    )
