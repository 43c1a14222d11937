"""Delivers pod statuses to the API server: the latest one of each pod, serially, with retries.

Nothing waits for it. While the API server is away statuses pile up as one per pod, and are delivered after.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient
from kubeinstall.errors import Conflict, NotFound, StatusError
from kubeinstall.kubelet.pod import spec
from kubeinstall.kubelet.status.patch import status_patch
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")

PODS = "v1/pods"
AT_ONCE = 16
_RETRY_FIRST, _RETRY_CAP = 0.2, 10.0


@dataclass(slots=True)
class _Entry:
    pod: Object
    status: Object
    delivered: Object = field(default_factory=dict)
    dirty: bool = False
    delete: bool = False
    deleted: bool = False
    busy: bool = False
    pause: float = _RETRY_FIRST


class StatusManager:
    """`set` and `finish` return at once; `run` delivers."""

    def __init__(self, client: ApiClient, mirror_of: Callable[[Object], Object | None]) -> None:
        self._client = client
        self._mirror_of = mirror_of
        self._entries: dict[str, _Entry] = {}
        self._queue: asyncio.Queue[str] = asyncio.Queue()  # bounded by the pods: one entry each
        self._queued: set[str] = set()
        self._retries: set[asyncio.TimerHandle] = set()

    def get(self, pod: Object) -> Object:
        """The status last set, else what the API object says."""
        entry = self._entries.get(spec.uid(pod))
        return entry.status if entry else pod.get("status") or {}

    def set(self, pod: Object, status: Object) -> None:
        """Report `status`; equal to the last one, nothing is sent."""
        uid = spec.uid(pod)
        entry = self._entries.get(uid)
        if entry is None:
            entry = _Entry(pod, pod.get("status") or {}, delivered=pod.get("status") or {})
            self._entries[uid] = entry
        entry.pod = pod
        if status == entry.status and not entry.dirty and status == entry.delivered:
            return
        entry.status = status
        entry.dirty = True
        self._enqueue(uid)

    def observe(self, pod: Object) -> None:
        """The API's present object: what others wrote into its status is known from here."""
        entry = self._entries.get(spec.uid(pod))
        if entry is not None and not entry.busy:
            entry.pod = pod
            entry.delivered = pod.get("status") or {}

    def redeliver(self, uid: str) -> None:
        """The object to report to is a new one (a mirror made again): tell it everything."""
        entry = self._entries.get(uid)
        if entry is not None:
            entry.delivered = {}
            entry.dirty = True
            self._enqueue(uid)

    def finish(self, pod: Object) -> None:
        """All of the pod is gone: once its status is delivered, delete the object for good."""
        uid = spec.uid(pod)
        entry = self._entries.setdefault(uid, _Entry(pod, pod.get("status") or {}))
        entry.pod = pod
        entry.delete = True
        self._enqueue(uid)

    def forget(self, uid: str) -> None:
        """The API object is gone."""
        self._entries.pop(uid, None)

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(AT_ONCE):
                group.create_task(self._work(), name=f"status {number}")

    def _enqueue(self, uid: str) -> None:
        if uid not in self._queued:
            self._queued.add(uid)
            self._queue.put_nowait(uid)

    async def _work(self) -> None:
        while True:
            uid = await self._queue.get()
            self._queued.discard(uid)
            entry = self._entries.get(uid)
            if entry is None:
                continue
            if entry.busy:
                continue  # whoever is at it looks again when done
            entry.busy = True
            try:
                while entry.dirty or (entry.delete and not entry.deleted):
                    await self._deliver(uid, entry)
                entry.pause = _RETRY_FIRST
            except StatusError as error:
                log.debug("Status not delivered", pod=spec.full_name(entry.pod), error=str(error))
                self._later(uid, entry)
            except Exception:
                log.exception("Status not delivered", pod=spec.full_name(entry.pod))
                self._later(uid, entry)
            finally:
                entry.busy = False

    def _later(self, uid: str, entry: _Entry) -> None:
        handle = asyncio.get_running_loop().call_later(entry.pause, self._enqueue, uid)
        self._retries = {h for h in self._retries if not h.cancelled()} | {handle}
        entry.pause = min(entry.pause * 2, _RETRY_CAP)

    async def _deliver(self, uid: str, entry: _Entry) -> None:
        target = entry.pod
        if spec.is_static(target):
            mirror = self._mirror_of(target)
            if mirror is None:
                entry.dirty = entry.delete = False  # nobody to tell
                return
            target = mirror
        if entry.dirty:
            await self._patch(uid, entry, target)
        if entry.delete and not entry.dirty and not entry.deleted:
            await self._delete(uid, entry, target)

    async def _patch(self, uid: str, entry: _Entry, target: Object) -> None:
        status = entry.status
        entry.dirty = False
        old = entry.delivered or target.get("status") or {}
        patch = status_patch(str(target["metadata"]["uid"]), old, status)
        if patch is None:
            entry.delivered = status
            return
        meta = target["metadata"]
        try:
            answer = await self._client.patch(
                PODS, meta["name"], patch, meta.get("namespace"), "strategic", "status"
            )
        except (NotFound, Conflict) as error:
            # Conflict: another pod has the name by now.
            log.debug("Pod is gone, status dropped", pod=spec.full_name(target), error=str(error))
            entry.deleted = entry.delete
            if not spec.is_static(entry.pod):
                self._entries.pop(uid, None)
                entry.deleted = True
            return
        except StatusError:
            entry.dirty = True
            raise
        entry.delivered = answer.get("status") or status

    async def _delete(self, uid: str, entry: _Entry, target: Object) -> None:
        meta = target["metadata"]
        if not spec.deleted(target) and not spec.is_mirror(target):
            entry.delete = False
            return
        with contextlib.suppress(NotFound, Conflict):
            await self._client.delete(
                PODS, meta["name"], meta.get("namespace"), grace_period_seconds=0, uid=meta["uid"]
            )
        entry.deleted = True
