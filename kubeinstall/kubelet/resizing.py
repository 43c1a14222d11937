"""In-place resize of one pod: from what is desired to what is allocated, and on to what its containers are held to."""

from __future__ import annotations

from collections.abc import Callable

from kubeinstall.api.types import Object
from kubeinstall.kubelet.allocation import DEFERRED, POD, Pending, judge, summary
from kubeinstall.kubelet.containers.resize import ResizeProblem, resize_containers
from kubeinstall.kubelet.containers.sync import Outcome
from kubeinstall.kubelet.parts import Parts
from kubeinstall.kubelet.pod import spec
from kubeinstall.kubelet.pod.conditions import Resize

RETRY_SECONDS = 5.0
"""Until a resize that cannot go on is tried again, where nothing wakes it before."""


class Resizing:
    """One pod's resizes. `siblings()` gives the other pods that hold resources of the node."""

    def __init__(self, parts: Parts, siblings: Callable[[], list[Object]]) -> None:
        self.pending: Pending | None = None
        self._parts = parts
        self._siblings = siblings
        self._error = ""
        self._under_way = False

    def allocate(self, desired: Object) -> Object:
        """Give the pod what it desires, where the node has it; the pod as it was given resources."""
        known = self._parts.allocations
        if not known.has(spec.uid(desired)):
            known.allocate(desired)
        given = known.view(desired)
        if given is desired:
            self.pending = None
            return given
        pending = judge(desired, self._siblings(), self._parts.allocatable)
        if pending is None:
            known.allocate(desired)
            given = desired
        elif pending != self.pending:
            text = f"Pod resize {pending.reason}: {summary(desired, pending.message)}"
            self._parts.recorder.event(desired, "Warning", f"Resize{pending.reason}", text)
        self.pending = pending
        return given

    async def apply(self, pod: Object, outcome: Outcome, report: Callable[[], Object]) -> None:
        """Tell the runtime what running containers were given, and everybody how that goes. Raises `CRIError`."""
        parts = self._parts
        if parts.allocations.in_progress(pod) and not self._under_way:
            self._under_way = True
            text = f"Pod resize started: {summary(pod)}"
            parts.recorder.event(pod, "Normal", "ResizeStarted", text)
            report()
        try:
            if await resize_containers(parts, pod, parts.runtime.get(spec.uid(pod))):
                outcome.acted = True
            if parts.allocations.actuated(spec.uid(pod), POD) is not None:
                await parts.cgroups.ensure(pod)
                parts.allocations.set_actuated(spec.uid(pod), pod["spec"])
            self._error = ""
        except ResizeProblem as error:
            if str(error) != self._error:
                text = f"Pod resize error: {summary(pod, str(error))}"
                parts.recorder.event(pod, "Warning", "ResizeError", text)
            self._error = str(error)
            outcome.retry(RETRY_SECONDS)
        if self._under_way and not parts.allocations.in_progress(pod):
            self._under_way = False
            await parts.cgroups.ensure(pod)
            text = f"Pod resize completed: {summary(pod)}"
            parts.recorder.event(pod, "Normal", "ResizeCompleted", text)
        if self.pending is not None and self.pending.reason == DEFERRED:
            outcome.retry(RETRY_SECONDS)

    def state(self, pod: Object) -> Resize:
        """What the pod's status says of it."""
        known, uid = self._parts.allocations, spec.uid(pod)
        return Resize(
            self.pending,
            known.in_progress(pod),
            self._error,
            lambda name: known.actuated(uid, name),
        )
