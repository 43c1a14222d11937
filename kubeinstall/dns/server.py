"""UDP and TCP on port 53."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, cast

Handle = Callable[..., "bytes | Awaitable[bytes] | None"]

IDLE_SECONDS = 8.0
MAX_CONNECTIONS = 1000
#: Questions that wait for other servers, over UDP; more are dropped, as a full socket buffer would.
MAX_WAITING = 2000


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, handle: Handle, waiting: set[asyncio.Task[None]]) -> None:
        self._handle = handle
        self._waiting = waiting
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        answer = self._handle(data, stream=False)
        if isinstance(answer, bytes):
            if self._transport is not None:
                self._transport.sendto(answer, addr)
        elif answer is not None:
            if len(self._waiting) >= MAX_WAITING:
                asyncio.ensure_future(answer).cancel()
                return
            task = asyncio.get_running_loop().create_task(self._later(answer, addr))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def _later(self, answer: Awaitable[bytes], addr: Any) -> None:
        data = await answer
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, addr)


class DnsServer:
    """Listens on given addresses; `stack` owns the sockets."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._waiting: set[asyncio.Task[None]] = set()
        self._connections = 0

    async def listen(self, stack: AsyncExitStack, address: str, port: int) -> int:
        """Serve on one address until `stack` closes; the port (a free one for 0)."""
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._connection, address, port)
        stack.callback(server.close)
        bound = int(server.sockets[0].getsockname()[1])
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self._handle, self._waiting), local_addr=(address, bound)
        )
        stack.callback(transport.close)
        stack.callback(self._cancel)
        return bound

    def _cancel(self) -> None:
        for task in self._waiting:
            task.cancel()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._connections >= MAX_CONNECTIONS:
            writer.close()
            return
        self._connections += 1
        try:
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    message = await reader.readexactly(length)
                answer = self._handle(message, stream=True)
                if answer is not None and not isinstance(answer, bytes):
                    answer = await answer
                if answer is None:
                    return
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._connections -= 1
            writer.close()
