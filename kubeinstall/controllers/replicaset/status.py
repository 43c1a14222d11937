"""The status of a ReplicaSet or ReplicationController, from its pods."""

from __future__ import annotations

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.controllers.common import conditions, owners, pods


def calculate(
    owner: Object, alive: list[Object], terminating: int, problem: Exception | None
) -> Object:
    """What `.status` should be; fields that are 0 are left out, as upstream encodes them."""
    spec = owner["spec"]
    old = owner.get("status") or {}
    wanted_labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    wait = spec.get("minReadySeconds") or 0
    now = times.parse(times.now())
    counts = {
        "fullyLabeledReplicas": sum(
            1 for pod in alive if wanted_labels.items() <= owners.labels_of(pod).items()
        ),
        "readyReplicas": sum(1 for pod in alive if pods.ready(pod)),
        "availableReplicas": sum(1 for pod in alive if pods.available(pod, wait, now)),
    }
    status: Object = {"replicas": len(alive)}
    status |= {name: count for name, count in counts.items() if count}
    if owner["kind"] == "ReplicaSet":
        # A pointer upstream: present also when 0.
        status["terminatingReplicas"] = terminating
    status["observedGeneration"] = owner["metadata"].get("generation") or 0
    found = _conditions(spec, old.get("conditions") or [], len(alive), problem)
    if found:
        status["conditions"] = found
    return status


def _conditions(
    spec: Object, current: list[Object], count: int, problem: Exception | None
) -> list[Object]:
    if problem is None:
        return conditions.remove(current, "ReplicaFailure")
    if conditions.find(current, "ReplicaFailure") is not None:
        return current
    missing = spec.get("replicas", 1) - count
    reason = "FailedCreate" if missing > 0 else "FailedDelete"
    failure = conditions.make("ReplicaFailure", "True", reason, str(problem))
    return conditions.set_condition(current, failure)
