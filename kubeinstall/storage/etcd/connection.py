"""Channels to the members of an etcd cluster: one is used, another takes over when it fails.

Calls carry `hasleader`, so that a member cut off from the others refuses instead of answering from the past. A
call that a member could not take is tried on the next one until `RETRY_SECONDS` have gone by.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
import grpc.aio

from kubeinstall.errors import RevisionCompacted, RevisionInFuture, StoreError
from kubeinstall.storage.etcd.endpoints import EtcdEndpoints

T = TypeVar("T")

CALL_SECONDS = 5.0
RETRY_SECONDS = 15.0
METADATA = (("hasleader", "true"),)
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]
_TRANSIENT = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
)


class Connection:
    """Members of one cluster. `call` picks the member; `ambiguous` says whether a failed call may have happened."""

    def __init__(self, endpoints: EtcdEndpoints) -> None:
        files = endpoints.read_files()
        self._channels = [_channel(address, files) for address in endpoints.addresses]
        self._current = 0

    @property
    def channel(self) -> grpc.aio.Channel:
        """The member in use."""
        return self._channels[self._current]

    def next_member(self, failed: grpc.aio.Channel) -> None:
        """Use another member, unless somebody has switched already."""
        if self.channel is failed:
            self._current = (self._current + 1) % len(self._channels)

    async def call(self, make: Callable[[grpc.aio.Channel], Awaitable[T]]) -> tuple[T, bool]:
        """The answer, and whether an earlier attempt broke off without one (a write may then have happened twice)."""
        deadline = time.monotonic() + RETRY_SECONDS
        broken = False
        delay = 0.05
        while True:
            channel = self.channel
            try:
                return await make(channel), broken
            except grpc.aio.AioRpcError as error:
                if error.code() not in _TRANSIENT or time.monotonic() + delay > deadline:
                    raise translate(error) from error
                broken = True
                self.next_member(channel)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 1.0)

    async def close(self) -> None:
        """Close every channel."""
        await asyncio.gather(*(channel.close() for channel in self._channels))


def translate(error: grpc.aio.AioRpcError) -> StoreError:
    """etcd's errors as the store protocol's."""
    details = error.details() or ""
    if "has been compacted" in details:
        return RevisionCompacted(details)
    if "future revision" in details:
        return RevisionInFuture(details)
    if details.startswith("etcdserver: "):
        return StoreError(details)  # in etcd's words, as upstream's API server passes them on
    code = "".join(word.capitalize() for word in error.code().name.split("_"))
    return StoreError(f"rpc error: code = {code} desc = {details}")


def _channel(
    address: str, files: tuple[bytes, bytes | None, bytes | None] | None
) -> grpc.aio.Channel:
    if files is None:
        return grpc.aio.insecure_channel(address, options=_OPTIONS)
    cacert, cert, key = files
    credentials: Any = grpc.ssl_channel_credentials(cacert, key, cert)
    return grpc.aio.secure_channel(address, credentials, options=_OPTIONS)
