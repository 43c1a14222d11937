"""Records Events without ever blocking the caller.

Correlation as upstream's client-go: the same event again raises `count` of the one already there;
more than ten similar events in ten minutes (same but for the message) become one "combined from
similar events"; and each object of a source may cause a burst of 25, then one in five minutes.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import structlog

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.client.client import ApiClient
from kubeinstall.client.status import Unreachable
from kubeinstall.errors import NotFound, StatusError

log = structlog.get_logger("events")

EVENTS = "v1/events"
QUEUE_SIZE = 1000
CACHE_SIZE = 4096
SIMILAR_LIMIT = 10
SIMILAR_SECONDS = 600.0
SPAM_BURST = 25.0
SPAM_REFILL_PER_SECOND = 1 / 300
MESSAGE_LIMIT = 1024
TRIES = 12


@dataclass(slots=True)
class _Bucket:
    tokens: float = SPAM_BURST
    at: float = 0.0


@dataclass(slots=True)
class _Similar:
    messages: set[str]
    at: float


@dataclass(slots=True)
class _Seen:
    name: str
    count: int
    first: str


class EventRecorder:
    """`event(…)` puts an event into a bounded queue that `run()` sends; a full queue drops it."""

    def __init__(
        self, client: ApiClient, component: str, host: str = "", *, instance: str = ""
    ) -> None:
        self._client = client
        self._component = component
        self._host = host
        self._instance = instance or host or socket.gethostname()
        self._queue: asyncio.Queue[Object] = asyncio.Queue(QUEUE_SIZE)
        self._spam: OrderedDict[str, _Bucket] = OrderedDict()
        self._similar: OrderedDict[str, _Similar] = OrderedDict()
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self.dropped = 0

    def event(
        self,
        obj: Object,
        kind: str,
        reason: str,
        message: str,
        *,
        field_path: str = "",
        action: str = "",
        related: Object | None = None,
    ) -> None:
        """Record an event about `obj`; `kind` is "Normal" or "Warning"."""
        event = self._make(reference(obj, field_path), kind, reason, message[:MESSAGE_LIMIT])
        if action:
            event["action"] = action
        if related is not None:
            event["related"] = reference(related)
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Send queued events until cancelled."""
        while True:
            event = await self._queue.get()
            try:
                await self._record(event)
            except StatusError as error:
                log.debug("event not recorded", reason=event["reason"], error=str(error))
            except Exception:
                # An event is never worth its component.
                log.exception("event not recorded", reason=event["reason"])

    async def flush(self) -> None:
        """Send what is queued now, once, and return: for a component about to end."""
        while not self._queue.empty():
            await self._send(self._queue.get_nowait())

    def _make(self, about: Object, kind: str, reason: str, message: str) -> Object:
        now = times.now()
        namespace = about.get("namespace") or "default"
        source = {"component": self._component}
        if self._host:
            source["host"] = self._host
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{about.get('name', '')}.{time.time_ns():x}",
                "namespace": namespace,
            },
            "involvedObject": about,
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": kind,
            "eventTime": None,
            "reportingComponent": self._component,
            "reportingInstance": self._instance if self._host else "",
        }

    async def _record(self, event: Object) -> None:
        about = event["involvedObject"]
        who = _join(self._component, self._host, *_identity(about))
        if not self._allowed(who):
            self.dropped += 1
            return
        event = self._aggregate(event)
        same = _join(
            self._component, *_identity(about), event["type"], event["reason"], event["message"]
        )
        seen = self._seen.get(same)
        if seen is not None:
            self._seen.move_to_end(same)
            if await self._raise_count(seen, event):
                return
        await self._send(event)
        _put(self._seen, same, _Seen(event["metadata"]["name"], 1, event["firstTimestamp"]))

    def _allowed(self, who: str) -> bool:
        now = time.monotonic()
        bucket = self._spam.get(who)
        if bucket is None:
            bucket = _Bucket(at=now)
            _put(self._spam, who, bucket)
        bucket.tokens = min(SPAM_BURST, bucket.tokens + (now - bucket.at) * SPAM_REFILL_PER_SECOND)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _aggregate(self, event: Object) -> Object:
        group = _join(
            self._component, *_identity(event["involvedObject"]), event["type"], event["reason"]
        )
        now = time.monotonic()
        similar = self._similar.get(group)
        if similar is None or now - similar.at > SIMILAR_SECONDS:
            similar = _Similar(set(), now)
            _put(self._similar, group, similar)
        similar.at = now
        if len(similar.messages) < SIMILAR_LIMIT:
            similar.messages.add(event["message"])
            return event
        if event["message"] in similar.messages:
            return event
        return {**event, "message": f"(combined from similar events): {event['message']}"}

    async def _raise_count(self, seen: _Seen, event: Object) -> bool:
        patch = {
            "count": seen.count + 1,
            "lastTimestamp": event["lastTimestamp"],
            "message": event["message"],
        }
        try:
            await self._client.patch(
                EVENTS, seen.name, patch, event["metadata"]["namespace"], kind="merge"
            )
        except NotFound:
            # It lived out its hour: write a new one that carries the history.
            event["count"] = seen.count + 1
            event["firstTimestamp"] = seen.first
            return False
        seen.count += 1
        return True

    async def _send(self, event: Object) -> None:
        """Create the event; without a server, keep trying for a while, then drop it."""
        for attempt in range(TRIES):
            try:
                await self._client.create(EVENTS, event)
            except Unreachable:
                await asyncio.sleep(min(10.0, 0.25 * 2**attempt))
                continue
            return
        self.dropped += 1


def reference(obj: Object, field_path: str = "") -> Object:
    """The ObjectReference of `obj`; one given as a reference already is returned as it is."""
    if "metadata" not in obj:
        return obj
    meta: dict[str, Any] = obj["metadata"]
    made = {
        "kind": obj.get("kind"),
        "namespace": meta.get("namespace"),
        "name": meta.get("name"),
        "uid": meta.get("uid"),
        "apiVersion": obj.get("apiVersion"),
        "resourceVersion": meta.get("resourceVersion"),
        "fieldPath": field_path,
    }
    return {name: value for name, value in made.items() if value}


def _identity(about: Object) -> tuple[str, ...]:
    return tuple(
        str(about.get(name) or "")
        for name in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")
    )


def _join(*parts: str) -> str:
    return "\0".join(parts)


def _put(cache: OrderedDict[str, Any], key: str, value: Any) -> None:
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > CACHE_SIZE:
        cache.popitem(last=False)
