"""Leases for keys with a time to live, shared by keys that are written within a minute, as upstream's lease manager."""

from __future__ import annotations

import time

import grpc.aio

from kubeinstall._wire.etcd.v3 import rpc_pb2, rpc_pb2_grpc
from kubeinstall.storage.etcd.connection import CALL_SECONDS, METADATA, Connection

REUSE_SECONDS = 60
REUSE_KEYS = 1000


class Leases:
    """Gives out lease ids."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._open: dict[int, tuple[int, float, int]] = {}  # ttl → lease, reuse until, keys so far

    async def lease(self, ttl: int) -> int:
        """A lease that lives at least `ttl` seconds from now; 0 for a `ttl` of 0."""
        if ttl == 0:
            return 0
        lease, until, keys = self._open.get(ttl, (0, 0.0, 0))
        if lease and time.monotonic() < until and keys < REUSE_KEYS:
            self._open[ttl] = (lease, until, keys + 1)
            return lease
        window = min(REUSE_SECONDS, max(1, ttl // 20))
        request = rpc_pb2.LeaseGrantRequest(TTL=ttl + window)

        async def grant(channel: grpc.aio.Channel) -> rpc_pb2.LeaseGrantResponse:
            stub = rpc_pb2_grpc.LeaseStub(channel)
            answer: rpc_pb2.LeaseGrantResponse = await stub.LeaseGrant(
                request, timeout=CALL_SECONDS, metadata=METADATA
            )
            return answer

        answer, _ = await self._connection.call(grant)
        self._open[ttl] = (answer.ID, time.monotonic() + window, 1)
        return answer.ID
