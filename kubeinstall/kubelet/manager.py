"""All pods of this node: from their sources to their workers, and what is left of pods that are gone."""

from __future__ import annotations

import asyncio
import contextlib

from kubeinstall.api.types import Object
from kubeinstall.kubelet import names
from kubeinstall.kubelet.cri import CRIError, PodRuntime
from kubeinstall.kubelet.parts import Parts
from kubeinstall.kubelet.pod import spec
from kubeinstall.kubelet.worker import TERMINATED, PodWorker
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")


class PodManager:
    """Workers by uid. Static pods and API pods are the same to them; mirror pods have no worker."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.workers: dict[str, PodWorker] = {}
        self.mirrors: dict[str, Object] = {}
        self._finished: set[str] = set()
        self._waiting: dict[str, Object] = {}
        self.sources_ready = asyncio.Event()

    def pods(self) -> list[Object]:
        """The desired pods, static ones included."""
        return [worker.pod for worker in self.workers.values() if not worker.orphan]

    def active(self, but: str = "") -> list[Object]:
        """Pods that hold resources: neither over nor the pod `but`."""
        return [
            worker.pod
            for worker in self.workers.values()
            if worker.uid != but
            and worker.phase != TERMINATED
            and not worker.orphan
            and self.parts.status.get(worker.pod).get("phase") not in ("Succeeded", "Failed")
        ]

    def find(self, name: str, namespace: str) -> PodWorker | None:
        """The worker of a pod by name; where two generations overlap, the newer."""
        found = [
            worker
            for worker in self.workers.values()
            if spec.name(worker.pod) == name and spec.namespace(worker.pod) == namespace
        ]
        return max(found, key=lambda w: not spec.deleted(w.pod), default=None)

    def by_id(self, container_id: str) -> PodWorker | None:
        """The worker of the pod that a container belongs to."""
        for worker in self.workers.values():
            if self.parts.runtime.get(worker.uid).by_id(container_id):
                return worker
        return None

    # From the sources.

    def observed(self, old: Object | None, new: Object | None) -> None:
        """A pod of this node in the API was added, changed or removed."""
        pod = new or old
        if pod is None:
            return
        if spec.is_mirror(pod):
            self._mirror(pod, gone=new is None)
            return
        if new is None:
            self._gone(pod)
        else:
            self.parts.status.observe(new)
            self.set(new)

    def set(self, pod: Object) -> None:
        """A desired pod."""
        uid = spec.uid(pod)
        if uid in self._finished:
            return
        worker = self.workers.get(uid)
        if worker is not None and not worker.orphan:
            worker.update(pod)
            return
        if worker is not None:
            self._waiting[uid] = pod  # an orphan of that uid is being cleaned up
            return
        if spec.is_static(pod):
            blocker = self._same_name(pod)
            if blocker is not None:
                # The manifest changed: the new one starts when the old one has ended.
                self._waiting[uid] = pod
                return
        self._start(pod)

    def _same_name(self, pod: Object) -> PodWorker | None:
        name = spec.full_name(pod)
        return next((w for w in self.workers.values() if spec.full_name(w.pod) == name), None)

    def remove(self, uid: str) -> None:
        """A static pod's manifest is gone."""
        self._waiting.pop(uid, None)
        worker = self.workers.get(uid)
        if worker is not None:
            worker.removed()

    def _gone(self, pod: Object) -> None:
        uid = spec.uid(pod)
        self._finished.discard(uid)
        self.parts.status.forget(uid)
        worker = self.workers.get(uid)
        if worker is not None and not worker.orphan:
            worker.removed()

    def _mirror(self, pod: Object, *, gone: bool) -> None:
        name = spec.full_name(pod)
        if gone:
            self.mirrors.pop(name, None)
        else:
            self.mirrors[name] = pod

    def mirror_of(self, pod: Object) -> Object | None:
        """The API's picture of a static pod."""
        return self.mirrors.get(spec.full_name(pod))

    def _start(self, pod: Object, *, orphan: bool = False) -> None:
        uid = spec.uid(pod)
        self.workers[uid] = PodWorker(
            self.parts,
            pod,
            siblings=lambda: self.active(uid),
            on_terminated=self._terminated,
            orphan=orphan,
        )

    def _terminated(self, uid: str) -> None:
        worker = self.workers.pop(uid, None)
        if worker is None:
            return
        if spec.is_static(worker.pod):
            self.parts.status.forget(uid)
        elif not worker.gone_from_api:
            self._finished.add(uid)  # until the API says so too
        name = spec.full_name(worker.pod)
        self._retry_resizes()
        for waiting_uid, pod in list(self._waiting.items()):
            if waiting_uid == uid or spec.full_name(pod) == name:
                del self._waiting[waiting_uid]
                self._start(pod)
                return

    def _retry_resizes(self) -> None:
        """Something became free: resizes that waited for it may go on."""
        for worker in self.workers.values():
            if worker.resizing.pending is not None:
                worker.wake()

    # From below.

    def changed(self, uid: str) -> None:
        """The runtime's state of a pod changed."""
        self.parts.probes.wake(uid)
        worker = self.workers.get(uid)
        if worker is not None:
            worker.wake()
        elif self.sources_ready.is_set() and uid not in self._finished:
            self._adopt_orphan(uid)

    def probed(self, uid: str) -> None:
        """A probe's verdict changed."""
        worker = self.workers.get(uid)
        if worker is not None:
            worker.wake()

    def content_changed(self, uid: str) -> None:
        """A ConfigMap or Secret that the pod uses changed."""
        worker = self.workers.get(uid)
        if worker is not None:
            worker.refresh_volumes()

    def clean_up(self) -> None:
        """End what runs and belongs to no pod; call once the sources are known, then now and then."""
        for uid in self.parts.runtime.uids():
            if uid not in self.workers and uid not in self._finished:
                self._adopt_orphan(uid)

    def _adopt_orphan(self, uid: str) -> None:
        runtime = self.parts.runtime.get(uid)
        if not runtime.sandboxes and not runtime.containers:
            return
        log.info("Ending a pod that is gone", uid=uid, name=runtime.name)
        self._start(orphan_pod(runtime), orphan=True)

    async def remove_leftovers(self) -> None:
        """Take away folders of pods that neither a source nor the runtime knows, and what those were given."""
        self.parts.allocations.keep({*self.workers, *self.parts.runtime.uids()})
        folder = self.parts.paths.pods
        if not folder.is_dir():
            return
        for path in list(folder.iterdir()):
            uid = path.name
            if uid in self.workers or self.parts.runtime.get(uid).sandboxes:
                continue
            with contextlib.suppress(OSError, CRIError):
                await self.parts.volumes.tear_down(uid)

    async def close(self) -> None:
        """Stop the workers; what they manage keeps running."""
        tasks = [worker.task for worker in self.workers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def orphan_pod(runtime: PodRuntime) -> Object:
    """What the runtime's labels still say of a pod that nobody wants any more."""
    containers = {c.name: c for c in runtime.containers}
    grace = 30
    for status in runtime.containers:
        for key in (names.DELETION_GRACE, names.TERMINATION_GRACE):
            if status.annotations.get(key, "").isdigit():
                grace = int(status.annotations[key])
                break
    first = next((s for s in runtime.sandboxes), None)
    namespace = first.namespace if first else runtime.namespace
    labels = next((c.labels for c in runtime.containers), {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": runtime.name or labels.get(names.POD_NAME, "unknown"),
            "namespace": namespace or labels.get(names.POD_NAMESPACE, "default"),
            "uid": runtime.uid,
        },
        "spec": {
            "containers": [{"name": name} for name in containers],
            "terminationGracePeriodSeconds": grace,
            "hostNetwork": bool(first and first.host_network),
        },
    }
