"""How long to wait before a failed pod is replaced: 10 s, doubled for each failure, up to 10 min."""

from __future__ import annotations

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.controllers.common.pods import condition

BASE_SECONDS = 10.0
CAP_SECONDS = 600.0


def ended_at(pod: Object) -> float:
    """When a pod ended, in seconds since 1970: its last container's end, or what comes next to it."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    found = [((s.get("state") or {}).get("terminated") or {}).get("finishedAt") for s in statuses]
    latest = [times.unix(t) for t in found if t]
    if latest and len(latest) == len(found):
        return max(latest)
    ready = condition(pod, "Ready") or {}
    meta = pod["metadata"]
    text = (
        meta.get("deletionTimestamp")
        or ready.get("lastTransitionTime")
        or meta.get("creationTimestamp")
        or times.now()
    )
    return times.unix(text)


class FailureRecord:
    """Failures in a row of one Job, or of one index of it."""

    __slots__ = ("count", "last")

    def __init__(self) -> None:
        self.count = 0
        self.last = 0.0

    def note(self, succeeded: list[Object], failed: list[Object]) -> None:
        """Take in newly ended pods: a success ends the row."""
        since = max((ended_at(pod) for pod in succeeded), default=0.0)
        if since:
            self.count = 0
        after = [t for pod in failed if (t := ended_at(pod)) > since]
        self.count += len(after)
        self.last = max([self.last, *after])

    def left(self) -> float:
        """Seconds until the next pod may be created."""
        if not self.count:
            return 0.0
        delay = min(CAP_SECONDS, BASE_SECONDS * 2.0 ** min(self.count - 1, 10))
        return max(0.0, self.last + delay - times.parse(times.now_micro()).timestamp())
