"""Facts about a Job and its pods."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.controllers.common import conditions, owners, pods

JOBS = "batch/v1/jobs"
FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX_NAME = "batch.kubernetes.io/job-completion-index"
INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"
INDEX_IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"
CONTROLLER_NAME = "kubernetes.io/job-controller"


def is_indexed(job: Object) -> bool:
    """Each completion has an index."""
    return bool(job["spec"].get("completionMode") == "Indexed")


def ended(job: Object) -> Object | None:
    """The condition Complete or Failed, when it is True."""
    return _true(job, "Complete") or _true(job, "Failed")


def _true(job: Object, kind: str) -> Object | None:
    found = conditions.find((job.get("status") or {}).get("conditions"), kind)
    return found if found is not None and found.get("status") == "True" else None


def pending_end(job: Object) -> Object | None:
    """FailureTarget or SuccessCriteriaMet when True: the Job ends as soon as its pods have."""
    return _true(job, "FailureTarget") or _true(job, "SuccessCriteriaMet")


def suspended(job: Object) -> bool:
    """`spec.suspend`."""
    return bool(job["spec"].get("suspend"))


def tracked(pod: Object) -> bool:
    """The pod has yet to be counted."""
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def index_of(pod: Object) -> int:
    """The completion index, -1 for none."""
    text = (pod["metadata"].get("annotations") or {}).get(INDEX_NAME) or ""
    return int(text) if text.isdigit() else -1


def only_failed_replaced(job: Object) -> bool:
    """Pods are replaced only once they have really failed."""
    return bool(job["spec"].get("podReplacementPolicy") == "Failed")


def pod_failed(job: Object, pod: Object) -> bool:
    """The pod failed. One that is being deleted counts too: it may never get to report its end."""
    if pods.phase(pod) == "Failed":
        return True
    if only_failed_replaced(job) or job["spec"].get("podFailurePolicy"):
        return False
    return owners.deleting(pod) and pods.phase(pod) != "Succeeded"


def index_failures(pod: Object) -> int:
    """Failures of the pod's index before this pod."""
    text = (pod["metadata"].get("annotations") or {}).get(INDEX_FAILURES) or "0"
    return int(text) if text.isdigit() else 0
