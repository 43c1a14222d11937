"""The `etcd://` driver: a real etcd cluster, API v3 over gRPC."""

from __future__ import annotations

import asyncio
import time
from collections import deque

import grpc.aio

from kubeinstall._wire.etcd.v3 import kv_pb2, rpc_pb2, rpc_pb2_grpc
from kubeinstall.errors import KeyConflict, KeyExists, RevisionCompacted, StoreError
from kubeinstall.storage.etcd.connection import CALL_SECONDS, METADATA, Connection
from kubeinstall.storage.etcd.endpoints import EtcdEndpoints
from kubeinstall.storage.etcd.leases import Leases
from kubeinstall.storage.etcd.watch import EtcdWatch
from kubeinstall.storage.store import KeyValue, Page

COMPACT_SECONDS = 300.0  # how long history is kept, upstream's etcd-compaction-interval
MARK_SECONDS = 60.0
_NO_KEY = b"\0"


class EtcdStore:
    """See `storage.store.Store`. Make one with `await EtcdStore.open(endpoints)`."""

    def __init__(self, endpoints: EtcdEndpoints) -> None:
        self._connection = Connection(endpoints)
        self._leases = Leases(self._connection)
        self._reading: asyncio.Task[int] | None = None
        self._reading_started = False
        self._watches: set[EtcdWatch] = set()
        self._upkeep = asyncio.create_task(self._keep_up(), name="etcd-compaction")

    @classmethod
    async def open(cls, endpoints: EtcdEndpoints) -> EtcdStore:
        """Connect; `StoreError` when no member answers."""
        store = cls(endpoints)
        try:
            await store.current_revision()
        except StoreError:
            await store.close()
            raise
        return store

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        """See `Store.get`."""
        answer = await self._range(rpc_pb2.RangeRequest(key=key.encode(), revision=revision))
        return _key_value(answer.kvs[0]) if answer.kvs else None

    async def scan(
        self, prefix: str, *, revision: int = 0, limit: int = 0, start: str = ""
    ) -> Page:
        """See `Store.scan`."""
        first = max(start, prefix).encode()
        request = rpc_pb2.RangeRequest(
            key=first, range_end=_end(prefix).encode(), limit=limit, revision=revision
        )
        answer = await self._range(request)
        items = [_key_value(item) for item in answer.kvs]
        return Page(
            items, revision or answer.header.revision, answer.more, answer.count - len(items)
        )

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> int:
        """See `Store.create`."""
        compare = rpc_pb2.Compare(
            key=key.encode(),
            target=rpc_pb2.Compare.CREATE,
            result=rpc_pb2.Compare.EQUAL,
            create_revision=0,
        )
        put = rpc_pb2.PutRequest(key=key.encode(), value=value, lease=await self._leases.lease(ttl))
        revision = await self._guarded(key, compare, rpc_pb2.RequestOp(request_put=put), value)
        if revision is None:
            raise KeyExists(key)
        return revision

    async def update(self, key: str, value: bytes, *, expected: int, ttl: int = 0) -> int:
        """See `Store.update`."""
        put = rpc_pb2.PutRequest(key=key.encode(), value=value, lease=await self._leases.lease(ttl))
        operation = rpc_pb2.RequestOp(request_put=put)
        revision = await self._guarded(key, _unchanged(key, expected), operation, value)
        if revision is None:
            raise KeyConflict(key)
        return revision

    async def delete(self, key: str, *, expected: int) -> int:
        """See `Store.delete`."""
        operation = rpc_pb2.RequestOp(
            request_delete_range=rpc_pb2.DeleteRangeRequest(key=key.encode())
        )
        revision = await self._guarded(key, _unchanged(key, expected), operation, None)
        if revision is None:
            raise KeyConflict(key)
        return revision

    def watch(self, prefix: str, *, since: int) -> EtcdWatch:
        """See `Store.watch`."""
        return EtcdWatch(self._connection, prefix, since)

    async def current_revision(self) -> int:
        """See `Store.current_revision`: a linearizable read, shared by all that ask before it is sent."""
        if self._reading is None or self._reading_started:
            self._reading_started = False
            self._reading = asyncio.create_task(self._read_revision(), name="etcd-revision")
        return await asyncio.shield(self._reading)

    async def compacted_revision(self) -> int:
        """See `Store.compacted_revision`: etcd tells only who watches from before it."""
        watch = EtcdWatchProbe(self._connection)
        return await watch.compacted()

    async def compact(self, revision: int) -> None:
        """See `Store.compact`."""
        request = rpc_pb2.CompactionRequest(revision=revision, physical=True)

        async def call(channel: grpc.aio.Channel) -> rpc_pb2.CompactionResponse:
            stub = rpc_pb2_grpc.KVStub(channel)
            answer: rpc_pb2.CompactionResponse = await stub.Compact(
                request, timeout=60, metadata=METADATA
            )
            return answer

        try:
            await self._connection.call(call)
        except RevisionCompacted:
            return  # another API server was faster

    async def close(self) -> None:
        """See `Store.close`."""
        self._upkeep.cancel()
        await self._connection.close()

    async def _read_revision(self) -> int:
        await asyncio.sleep(0)  # whoever asks in this turn of the loop shares the read
        self._reading_started = True
        answer = await self._range(rpc_pb2.RangeRequest(key=_NO_KEY, count_only=True))
        return answer.header.revision

    async def _range(self, request: rpc_pb2.RangeRequest) -> rpc_pb2.RangeResponse:
        async def call(channel: grpc.aio.Channel) -> rpc_pb2.RangeResponse:
            stub = rpc_pb2_grpc.KVStub(channel)
            answer: rpc_pb2.RangeResponse = await stub.Range(
                request, timeout=CALL_SECONDS * 2, metadata=METADATA
            )
            return answer

        answer, _ = await self._connection.call(call)
        return answer

    async def _guarded(
        self, key: str, compare: rpc_pb2.Compare, operation: rpc_pb2.RequestOp, value: bytes | None
    ) -> int | None:
        """The revision of the write; None when the guard said no.

        An attempt that broke off may have been applied: then the guard fails on the next one although the write is
        ours, which the stored value tells.
        """
        request = rpc_pb2.TxnRequest(compare=[compare], success=[operation])

        async def call(channel: grpc.aio.Channel) -> rpc_pb2.TxnResponse:
            stub = rpc_pb2_grpc.KVStub(channel)
            answer: rpc_pb2.TxnResponse = await stub.Txn(
                request, timeout=CALL_SECONDS, metadata=METADATA
            )
            return answer

        answer, broken = await self._connection.call(call)
        if answer.succeeded:
            return answer.header.revision
        if not broken:
            return None
        found = await self.get(key)
        if value is None:
            return answer.header.revision if found is None else None
        return found.mod_revision if found is not None and found.value == value else None

    async def _keep_up(self) -> None:
        """Compact what is older than `COMPACT_SECONDS`; every API server does, and the slower ones find it done."""
        marks: deque[tuple[float, int]] = deque()
        while True:
            await asyncio.sleep(MARK_SECONDS)
            try:
                marks.append((time.monotonic(), await self.current_revision()))
                if marks[-1][0] - marks[0][0] >= COMPACT_SECONDS:
                    await self.compact(marks.popleft()[1])
            except StoreError:
                continue


class EtcdWatchProbe:
    """Finds out the compacted revision: a watch from the first revision is refused with it, or not at all."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def compacted(self) -> int:
        """The revision, 0 when nothing has been compacted."""
        answer, _ = await self._connection.call(self._probe)
        return answer

    async def _probe(self, channel: grpc.aio.Channel) -> int:
        call = rpc_pb2_grpc.WatchStub(channel).Watch(metadata=METADATA, timeout=CALL_SECONDS)
        create = rpc_pb2.WatchCreateRequest(key=_NO_KEY, start_revision=1, progress_notify=True)
        try:
            await call.write(rpc_pb2.WatchRequest(create_request=create))
            created = await call.read()
            if created.compact_revision:
                return int(created.compact_revision)
            # Whether the start is compacted is found when the watch first catches up: a second, compared watch at the
            # newest revision is answered after it.
            revision = created.header.revision
            later = rpc_pb2.WatchCreateRequest(key=_NO_KEY, start_revision=revision)
            await call.write(rpc_pb2.WatchRequest(create_request=later))
            while (answer := await call.read()) is not grpc.aio.EOF:
                if answer.compact_revision:
                    return int(answer.compact_revision)
                if answer.created:
                    return await self._settled(call)
        finally:
            call.cancel()
        return 0

    async def _settled(self, call: grpc.aio.StreamStreamCall) -> int:
        """etcd looks at unsynced watchers every 100 ms: give it three looks."""
        try:
            async with asyncio.timeout(0.35):
                answer = await call.read()
        except TimeoutError:
            return 0
        return int(answer.compact_revision) if answer is not grpc.aio.EOF else 0


def _key_value(item: kv_pb2.KeyValue) -> KeyValue:
    return KeyValue(item.key.decode(), item.value, item.create_revision, item.mod_revision)


def _unchanged(key: str, expected: int) -> rpc_pb2.Compare:
    if expected <= 0:
        raise KeyConflict(key)
    return rpc_pb2.Compare(
        key=key.encode(),
        target=rpc_pb2.Compare.MOD,
        result=rpc_pb2.Compare.EQUAL,
        mod_revision=expected,
    )


def _end(prefix: str) -> str:
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
