"""A watch that survives a member: it goes on at another one, after the last revision that it delivered.

A member that hangs (its disk, its process, the way to it) keeps its connections and says nothing. So a watch that hears
nothing for a while asks the cluster how far it is, and leaves a member that is behind and stays silent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from kubeinstall._wire.etcd.v3 import kv_pb2, rpc_pb2, rpc_pb2_grpc
from kubeinstall.errors import RevisionCompacted, StoreError
from kubeinstall.storage.etcd.connection import (
    CALL_SECONDS,
    METADATA,
    RETRY_SECONDS,
    Connection,
    translate,
)
from kubeinstall.storage.store import StoreEvent

# All keys: a write outside the prefix moves the revision on, and whoever waits for that revision must hear of it.
_ALL = b"\0"
_DELETE = kv_pb2.Event.DELETE
SILENCE_SECONDS = 5.0
_LATE_SECONDS = 2.0


class _Silent(Exception):
    """The member says nothing of what has happened."""


class EtcdWatch:
    """See `storage.store.StoreWatch`."""

    def __init__(self, connection: Connection, prefix: str, since: int) -> None:
        self._connection = connection
        self._prefix = prefix
        self.revision = since
        self._closed = asyncio.Event()

    def close(self) -> None:
        """End the watch."""
        self._closed.set()

    async def __aiter__(self) -> AsyncIterator[list[StoreEvent]]:
        failing_since = 0.0
        while not self._closed.is_set():
            channel = self._connection.channel
            try:
                async for batch in self._stream(channel):
                    failing_since = 0.0
                    if batch:
                        self.revision = batch[-1].revision
                        yield [event for event in batch if event.key.startswith(self._prefix)]
            except (grpc.aio.AioRpcError, _Silent) as error:
                now = time.monotonic()
                failing_since = failing_since or now
                if isinstance(error, grpc.aio.AioRpcError) and now - failing_since > RETRY_SECONDS:
                    raise translate(error) from error
                self._connection.next_member(channel)
                await asyncio.sleep(0.2)
        raise StoreError("the watch is closed")

    async def _stream(self, channel: grpc.aio.Channel) -> AsyncIterator[list[StoreEvent]]:
        call = rpc_pb2_grpc.WatchStub(channel).Watch(metadata=METADATA)
        closing = asyncio.create_task(self._closed.wait(), name="etcd-watch-closed")
        closing.add_done_callback(lambda _: call.cancel())
        try:
            await call.write(rpc_pb2.WatchRequest(create_request=self._request()))
            parts: list[StoreEvent] = []
            while (answer := await self._read(call)) is not grpc.aio.EOF:
                if answer.compact_revision:
                    raise RevisionCompacted(f"revision {self.revision} has been compacted")
                if answer.canceled:
                    raise StoreError(f"etcd ended the watch: {answer.cancel_reason}")
                parts += [_event(event) for event in answer.events]
                if not answer.fragment:
                    yield parts
                    parts = []
        except asyncio.CancelledError:
            if not self._closed.is_set():
                raise
        finally:
            closing.cancel()
            call.cancel()

    async def _read(self, call: grpc.aio.StreamStreamCall) -> Any:
        """The next answer; `_Silent` when others have one that this member does not give."""
        reading = asyncio.ensure_future(call.read())
        try:
            while True:
                await asyncio.wait({reading}, timeout=SILENCE_SECONDS)
                if reading.done():
                    return await reading
                behind = await self._newest() > self.revision
                if behind:
                    await asyncio.wait({reading}, timeout=_LATE_SECONDS)
                    if not reading.done():
                        raise _Silent
        finally:
            reading.cancel()

    async def _newest(self) -> int:
        """The cluster's revision, by a member that answers. Every one of them is an event of this watch."""
        request = rpc_pb2.RangeRequest(key=_ALL, count_only=True)

        async def ask(channel: grpc.aio.Channel) -> rpc_pb2.RangeResponse:
            answer: rpc_pb2.RangeResponse = await rpc_pb2_grpc.KVStub(channel).Range(
                request, timeout=CALL_SECONDS, metadata=METADATA
            )
            return answer

        try:
            answer, _ = await self._connection.call(ask)
        except StoreError:
            return 0  # no member does: nothing can be said
        return int(answer.header.revision)

    def _request(self) -> rpc_pb2.WatchCreateRequest:
        return rpc_pb2.WatchCreateRequest(
            key=_ALL,
            range_end=_ALL,
            start_revision=self.revision + 1,
            prev_kv=True,
            fragment=True,
            progress_notify=True,
        )


def _event(event: kv_pb2.Event) -> StoreEvent:
    previous = event.prev_kv.value if event.HasField("prev_kv") else None
    if event.type == _DELETE:
        return StoreEvent(
            event.kv.mod_revision,
            event.kv.key.decode(),
            None,
            previous,
            event.prev_kv.create_revision,
        )
    return StoreEvent(
        event.kv.mod_revision,
        event.kv.key.decode(),
        event.kv.value,
        previous,
        event.kv.create_revision,
    )
