"""The status of a Deployment, and the Progressing condition with its deadline."""

from __future__ import annotations

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.controllers.common import conditions
from kubeinstall.controllers.deployment import facts
from kubeinstall.controllers.deployment.work import Work

_COUNTS = (
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
)


def calculate(work: Work) -> Object:
    """`.status` from the ReplicaSets; counts of 0 are left out as upstream encodes them."""
    deployment = work.deployment
    old = deployment.get("status") or {}
    new = work.new_set()
    available = facts.total_status(work.sets, "availableReplicas")
    counts = {
        "replicas": facts.total_status(work.sets, "replicas"),
        "updatedReplicas": facts.status_count(new, "replicas") if new is not None else 0,
        "readyReplicas": facts.total_status(work.sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, facts.total(work.sets) - available),
    }
    status: Object = {"observedGeneration": deployment["metadata"].get("generation") or 0}
    status |= {name: counts[name] for name in _COUNTS if counts[name]}
    status["terminatingReplicas"] = facts.total_status(work.sets, "terminatingReplicas")
    if old.get("collisionCount") is not None:
        status["collisionCount"] = old["collisionCount"]
    minimum = facts.replicas(deployment) - facts.max_unavailable(deployment)
    if available >= minimum:
        said = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        said = (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    status["conditions"] = conditions.set_condition(
        list(old.get("conditions") or []), conditions.make("Available", *said, updated=True)
    )
    return status


async def report_plain(work: Work) -> None:
    """Write the status without judging progress."""
    status = calculate(work)
    if status != (work.deployment.get("status") or {}):
        await work.write_status(status)


async def report(work: Work) -> float | None:
    """Write the status and judge progress; seconds until it must be judged again."""
    status = calculate(work)
    listed: list[Object] = status["conditions"]
    current = conditions.find(listed, "Progressing")
    if not facts.has_deadline(work.deployment):
        listed = conditions.remove(listed, "Progressing")
    elif not _rested(status, current):
        listed = _judge(work, status, listed, current)
    status["conditions"] = _with_failure(work, listed)
    if status != (work.deployment.get("status") or {}):
        await work.write_status(status)
    return _recheck(work.deployment, status)


def _rested(status: Object, current: Object | None) -> bool:
    """Complete before, and nothing but the number of replicas has changed since."""
    return (
        current is not None
        and current.get("reason") == "NewReplicaSetAvailable"
        and status.get("replicas", 0) == status.get("updatedReplicas", 0)
    )


def _judge(
    work: Work, status: Object, listed: list[Object], current: Object | None
) -> list[Object]:
    new = work.new_set()
    if new is not None:
        subject = f'ReplicaSet "{new["metadata"]["name"]}"'
    else:
        subject = f'Deployment "{work.deployment["metadata"]["name"]}"'
    if facts.complete(work.deployment, status):
        text = f"{subject} has successfully progressed."
        made = conditions.make("Progressing", "True", "NewReplicaSetAvailable", text, updated=True)
        return conditions.set_condition(listed, made)
    if _advanced(work.deployment.get("status") or {}, status):
        text = f"{subject} is progressing."
        made = conditions.make("Progressing", "True", "ReplicaSetUpdated", text, updated=True)
        if current is not None and current["status"] == "True":
            # The time of the last progress is new, that of the last change is not.
            made["lastTransitionTime"] = current["lastTransitionTime"]
        return [*conditions.remove(listed, "Progressing"), made]
    if _timed_out(work.deployment, current):
        text = f"{subject} has timed out progressing."
        made = conditions.make(
            "Progressing", "False", "ProgressDeadlineExceeded", text, updated=True
        )
        return conditions.set_condition(listed, made)
    return listed


def _advanced(old: Object, new: Object) -> bool:
    def count(status: Object, field: str) -> int:
        return status.get(field) or 0

    def outdated(status: Object) -> int:
        return count(status, "replicas") - count(status, "updatedReplicas")

    return (
        count(new, "updatedReplicas") > count(old, "updatedReplicas")
        or outdated(new) < outdated(old)
        or count(new, "readyReplicas") > count(old, "readyReplicas")
        or count(new, "availableReplicas") > count(old, "availableReplicas")
    )


def _timed_out(deployment: Object, current: Object | None) -> bool:
    if current is None or current.get("reason") == "NewReplicaSetAvailable":
        return False
    if current.get("reason") == "ProgressDeadlineExceeded":
        return True
    return _left(deployment, current) < 0


def _left(deployment: Object, current: Object) -> float:
    since = times.unix(current.get("lastUpdateTime") or current["lastTransitionTime"])
    deadline: int = deployment["spec"]["progressDeadlineSeconds"]
    return since + deadline - times.unix(times.now())


def _recheck(deployment: Object, status: Object) -> float | None:
    current = conditions.find(status["conditions"], "Progressing")
    if current is None or not facts.has_deadline(deployment):
        return None
    if facts.complete(deployment, status) or current.get("reason") == "ProgressDeadlineExceeded":
        return None
    if _rested(status, current):
        return None
    # A second of slack, since times have whole seconds.
    return max(1.0, _left(deployment, current) + 1)


def _with_failure(work: Work, listed: list[Object]) -> list[Object]:
    new = work.new_set()
    for rs in [new] if new is not None else work.old_sets():
        found = conditions.find((rs.get("status") or {}).get("conditions"), "ReplicaFailure")
        if found is not None:
            made = {
                **found,
                "lastUpdateTime": found.get("lastTransitionTime") or times.now(),
            }
            return conditions.set_condition(listed, made)
    return conditions.remove(listed, "ReplicaFailure")
