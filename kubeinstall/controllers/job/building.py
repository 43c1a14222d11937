"""Makes the pods of a Job, and chooses which to make and which to take away."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.controllers.common import owners
from kubeinstall.controllers.common.podcontrol import pod_from_template
from kubeinstall.controllers.common.pods import deletion_order
from kubeinstall.controllers.job import facts
from kubeinstall.controllers.job.view import View

_ENV = "JOB_COMPLETION_INDEX"


def new_pod(job: Object, index: int | None, failures: int = 0) -> Object:
    """A pod that is tracked by finalizer; `index` for indexed Jobs, with its failures so far."""
    meta = job["metadata"]
    reference = owners.new_controller_ref(job, "batch/v1", "Job")
    prefix = meta["name"] if index is None else f"{meta['name']}-{index}"
    pod = pod_from_template(job["spec"]["template"], meta["namespace"], reference, prefix)
    made = pod["metadata"]
    made["finalizers"] = [*(made.get("finalizers") or ()), facts.FINALIZER]
    if index is None:
        return pod
    notes = made.setdefault("annotations", {})
    notes[facts.INDEX_NAME] = str(index)
    if job["spec"].get("backoffLimitPerIndex") is not None:
        notes[facts.INDEX_FAILURES] = str(failures)
    made.setdefault("labels", {})[facts.INDEX_NAME] = str(index)
    spec = pod["spec"]
    spec["hostname"] = f"{meta['name']}-{index}"
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{facts.INDEX_NAME}']"}}
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        env = container.setdefault("env", [])
        if not any(entry.get("name") == _ENV for entry in env):
            env.append({"name": _ENV, "valueFrom": source})
    return pod


def wanted_active(view: View) -> int:
    """How many pods should run now."""
    spec = view.job["spec"]
    parallelism = int(spec.get("parallelism", 1))
    if spec.get("completions") is None:
        return len(view.active) if view.succeeded > 0 else parallelism
    left = view.completions - view.succeeded - len(view.failed_indexes)
    return max(0, min(parallelism, left))


def missing_indexes(view: View, count: int) -> list[int]:
    """The lowest indexes that have neither ended nor a pod."""
    taken = {facts.index_of(pod) for pod in view.active}
    if facts.only_failed_replaced(view.job):
        taken |= {facts.index_of(pod) for pod in view.terminating}
    taken |= view.succeeded_indexes | view.failed_indexes
    found: list[int] = []
    for index in range(view.completions):
        if len(found) == count:
            break
        if index not in taken:
            found.append(index)
    return found


def surplus(view: View, wanted: int) -> list[Object]:
    """Active pods to delete: of indexed Jobs first those without a use for their index."""
    useless: list[Object] = []
    kept: list[Object] = []
    seen: set[int] = set()
    if facts.is_indexed(view.job):
        for pod in sorted(view.active, key=lambda p: p["metadata"].get("creationTimestamp") or ""):
            index = facts.index_of(pod)
            done = index in view.succeeded_indexes or index in view.failed_indexes
            if done or index in seen or not 0 <= index < view.completions:
                useless.append(pod)
            else:
                seen.add(index)
                kept.append(pod)
    else:
        kept = view.active
    count = max(0, len(kept) - wanted)
    return useless + deletion_order(kept, kept)[:count]
