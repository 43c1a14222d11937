"""Creates and deletes pods for controllers, with their events, in slow-start batches."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient, EventRecorder
from kubeinstall.controllers.common.pods import PODS
from kubeinstall.errors import NotFound, StatusError

#: Requests of one batch that are under way at once.
PARALLEL = 32


def pod_from_template(template: Object, namespace: str, reference: Object, prefix: str) -> Object:
    """A pod as the template says, controlled by `reference`, named `<prefix>-<random>`."""
    meta = template.get("metadata") or {}
    made: Object = {
        "generateName": f"{prefix}-",
        "namespace": namespace,
        "labels": dict(meta.get("labels") or {}),
        "annotations": dict(meta.get("annotations") or {}),
        "finalizers": list(meta.get("finalizers") or []),
        "ownerReferences": [reference],
    }
    made = {name: value for name, value in made.items() if value}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": made,
        "spec": copy.deepcopy(template.get("spec") or {}),
    }


class PodControl:
    """Creates and deletes pods and says so in events about their controller."""

    def __init__(self, client: ApiClient, events: EventRecorder) -> None:
        self._client = client
        self._events = events

    async def create(self, pod: Object, owner: Object) -> Object:
        """Create one pod. A failure is an event too, except while the namespace is going away."""
        try:
            made = await self._client.create(PODS, pod)
        except StatusError as error:
            if not namespace_terminating(error):
                self._events.event(
                    owner, "Warning", "FailedCreate", f"Error creating: {error.message}"
                )
            raise
        name = made["metadata"]["name"]
        self._events.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {name}")
        return made

    async def delete(self, pod: Object, owner: Object) -> None:
        """Delete one pod; one that is gone already is NotFound, without an event."""
        meta = pod["metadata"]
        try:
            await self._client.delete(
                PODS, meta["name"], meta.get("namespace"), uid=meta.get("uid")
            )
        except NotFound:
            raise
        except StatusError as error:
            self._events.event(owner, "Warning", "FailedDelete", f"Error deleting: {error.message}")
            raise
        self._events.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {meta['name']}")


def namespace_terminating(error: StatusError) -> bool:
    """True when a create was refused because its namespace is being deleted."""
    causes = (error.details or {}).get("causes") or []
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


async def slow_start(
    count: int, make: Callable[[int], Awaitable[object]], initial: int = 1
) -> tuple[int, Exception | None]:
    """Call `make(0)` … `make(count - 1)` in batches of 1, 2, 4, …; stop after a batch with an error.

    A quota or a broken template then costs a few requests, not thousands. Returns how many
    succeeded, and the first error.
    """
    gate = asyncio.Semaphore(PARALLEL)

    async def one(number: int) -> None:
        async with gate:
            await make(number)

    done = position = 0
    size = initial
    while position < count:
        batch = range(position, min(count, position + size))
        results = await asyncio.gather(*(one(n) for n in batch), return_exceptions=True)
        failures = [r for r in results if isinstance(r, BaseException)]
        done += len(results) - len(failures)
        if failures:
            first = failures[0]
            if not isinstance(first, Exception):
                raise first
            return done, first
        position += len(batch)
        size *= 2
    return done, None


async def in_parallel(work: list[Awaitable[object]]) -> Exception | None:
    """Await all, a bounded number at once; the first error."""
    gate = asyncio.Semaphore(PARALLEL)

    async def one(item: Awaitable[object]) -> None:
        async with gate:
            await item

    results = await asyncio.gather(*(one(item) for item in work), return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            return result
        if isinstance(result, BaseException):
            raise result
    return None
