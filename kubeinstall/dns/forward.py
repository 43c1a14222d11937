"""Asks the host's resolvers about names outside the cluster."""

from __future__ import annotations

import asyncio
import secrets
import struct
from dataclasses import dataclass
from typing import cast

from kubeinstall.dns.resolvers import Resolvers
from kubeinstall.dns.wire import TC, Query

PORT = 53
TIMEOUT = 2.0  # seconds for one server
ROUNDS = 2
MAX_PENDING = 1000
#: A socket is used for so many questions; then a new one with another port makes guessing harder.
_SOCKET_USES = 200


@dataclass(slots=True)
class _Pending:
    future: asyncio.Future[bytes]
    question: bytes


class _Socket(asyncio.DatagramProtocol):
    """One connected UDP socket to one resolver."""

    def __init__(self) -> None:
        self.pending: dict[int, _Pending] = {}
        self.uses = 0
        self.closing = False
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if len(data) < 12:
            return
        number = int.from_bytes(data[:2], "big")
        pending = self.pending.get(number)
        # An answer must be to our question, letter case aside.
        if pending is None or not data[2] & 0x80:
            return
        question = data[12 : 12 + len(pending.question)]
        if question.lower() == pending.question.lower() and not pending.future.done():
            pending.future.set_result(data)

    def error_received(self, exc: Exception) -> None:
        for pending in self.pending.values():
            if not pending.future.done():
                pending.future.set_exception(exc)

    def close_when_idle(self) -> None:
        """No new questions; close when the last is answered."""
        self.closing = True
        if not self.pending and self.transport is not None:
            self.transport.close()


class Forwarder:
    """Forwards raw queries; bounded: above `MAX_PENDING` questions at once it refuses at once."""

    def __init__(self, resolvers: Resolvers, port: int = PORT) -> None:
        self._resolvers = resolvers
        self._port = port
        self._sockets: dict[str, _Socket] = {}
        self._asked: set[tuple[int, bytes]] = set()
        self._pending = 0
        self._opening = asyncio.Lock()

    def is_echo(self, query: Query) -> bool:
        """Whether this is a question of our own that came back: resolvers point to us in a circle."""
        return (query.id, query.question.lower()) in self._asked

    async def ask(self, query: Query, message: bytes, *, stream: bool) -> bytes | None:
        """The answer with the query's id, None when nobody answers. `stream`: the client can take long ones."""
        if self._pending >= MAX_PENDING:
            return None
        self._pending += 1
        try:
            for _ in range(ROUNDS):
                for address in self._resolvers.addresses():
                    answer = await self._try(address, query, message, stream)
                    if answer is not None:
                        return message[:2] + answer[2:]
        finally:
            self._pending -= 1
        return None

    def close(self) -> None:
        """Close all sockets."""
        for item in self._sockets.values():
            if item.transport is not None:
                item.transport.close()
        self._sockets.clear()

    async def _try(self, address: str, query: Query, message: bytes, stream: bool) -> bytes | None:
        try:
            answer = await self._datagram(address, query, message)
            if stream and answer[2] << 8 & TC:
                answer = await self._stream(address, message)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return None
        return answer

    async def _datagram(self, address: str, query: Query, message: bytes) -> bytes:
        channel = await self._socket(address)
        number = secrets.randbits(16)
        while number in channel.pending:
            number = secrets.randbits(16)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        channel.pending[number] = _Pending(future, query.question)
        mark = (number, query.question.lower())
        self._asked.add(mark)
        try:
            if channel.transport is None:
                raise OSError("socket closed")
            channel.transport.sendto(number.to_bytes(2, "big") + message[2:])
            async with asyncio.timeout(TIMEOUT):
                return await future
        finally:
            self._asked.discard(mark)
            channel.pending.pop(number, None)
            if channel.closing:
                channel.close_when_idle()

    async def _socket(self, address: str) -> _Socket:
        channel = self._sockets.get(address)
        if channel is None or channel.uses >= _SOCKET_USES:
            # One at a time: of two made at once, one would be forgotten without being closed.
            async with self._opening:
                channel = await self._renewed(address)
        channel.uses += 1
        return channel

    async def _renewed(self, address: str) -> _Socket:
        channel = self._sockets.get(address)
        if channel is not None and channel.uses < _SOCKET_USES:
            return channel
        loop = asyncio.get_running_loop()
        _, fresh = await loop.create_datagram_endpoint(_Socket, remote_addr=(address, self._port))
        if channel is not None:
            channel.close_when_idle()
        self._sockets[address] = fresh
        return fresh

    async def _stream(self, address: str, message: bytes) -> bytes:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(address, self._port)
            try:
                writer.write(struct.pack("!H", len(message)) + message)
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                return await reader.readexactly(length)
            finally:
                writer.close()
