"""Facts about a StatefulSet and its pods."""

from __future__ import annotations

import re
from datetime import datetime

from kubeinstall.api.types import Object
from kubeinstall.controllers.common import owners, pods
from kubeinstall.controllers.common.intstr import scaled

STATEFUL_SETS = "apps/v1/statefulsets"
CLAIMS = "v1/persistentvolumeclaims"
REVISION_LABEL = "controller-revision-hash"
NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"
_ORDINAL = re.compile(r"(.*)-([0-9]+)")


def replicas(stateful_set: Object) -> int:
    """`spec.replicas`, 1 when it is not given."""
    value = stateful_set["spec"].get("replicas")
    return 1 if value is None else int(value)


def start(stateful_set: Object) -> int:
    """The first ordinal."""
    return int((stateful_set["spec"].get("ordinals") or {}).get("start") or 0)


def ordinal(pod: Object) -> int:
    """The number at the end of the pod's name, -1 for none."""
    match = _ORDINAL.fullmatch(pod["metadata"]["name"])
    return int(match.group(2)) if match else -1


def is_member(stateful_set: Object, pod: Object) -> bool:
    """The pod's name is `<set>-<ordinal>`."""
    match = _ORDINAL.fullmatch(pod["metadata"]["name"])
    return match is not None and match.group(1) == stateful_set["metadata"]["name"]


def in_range(stateful_set: Object, number: int) -> bool:
    """The ordinal is one of those wanted."""
    first = start(stateful_set)
    return first <= number < first + replicas(stateful_set)


def parallel(stateful_set: Object) -> bool:
    """Pods need not wait for each other."""
    return bool(stateful_set["spec"].get("podManagementPolicy") == "Parallel")


def strategy(stateful_set: Object) -> str:
    """RollingUpdate or OnDelete."""
    return (stateful_set["spec"].get("updateStrategy") or {}).get("type") or "RollingUpdate"


def partition(stateful_set: Object) -> int:
    """Ordinals below this keep the old template."""
    rolling = (stateful_set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    return int(rolling.get("partition") or 0)


def max_unavailable(stateful_set: Object) -> int:
    """Pods that an update may take down at once; 1 unless told."""
    rolling = (stateful_set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    value = rolling.get("maxUnavailable")
    if value is None:
        return 1
    return max(1, scaled(value, replicas(stateful_set), round_up=True))


def min_ready(stateful_set: Object) -> int:
    """`spec.minReadySeconds`."""
    return int(stateful_set["spec"].get("minReadySeconds") or 0)


def created(pod: Object) -> bool:
    """The pod is on the server."""
    return bool(pod["metadata"].get("uid"))


def running_and_ready(pod: Object) -> bool:
    """Running with its Ready condition True."""
    return pods.phase(pod) == "Running" and pods.ready(pod)


def running_and_available(pod: Object, seconds: int, now: datetime) -> bool:
    """Running, and ready for so many seconds."""
    return pods.phase(pod) == "Running" and pods.available(pod, seconds, now)


def healthy(pod: Object) -> bool:
    """Running, ready and staying."""
    return running_and_ready(pod) and not owners.deleting(pod)


def revision_of(pod: Object) -> str:
    """The name of the revision that the pod was made from."""
    return owners.labels_of(pod).get(REVISION_LABEL) or ""


def retention(stateful_set: Object) -> tuple[bool, bool]:
    """(delete claims with the set, delete claims of pods scaled away)."""
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return policy.get("whenDeleted") == "Delete", policy.get("whenScaled") == "Delete"
