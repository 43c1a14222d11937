"""One supervised process: started, restarted with back-off, stopped with patience."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

from kubeinstall.runtime.logfile import open_log
from kubeinstall.runtime.logs import get_logger
from kubeinstall.runtime.processes import ProcessSpec

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1  # prctl(2)

BACKOFF_FIRST = 0.2  # seconds before the first restart; doubled each time
BACKOFF_MOST = 30.0
BACKOFF_RESET = 60.0  # a process that ran this long starts over with the first delay


class Child:
    """Keeps one process alive while `run()` runs. Cancelling `run()` stops the process."""

    def __init__(self, spec: ProcessSpec, run_dir: Path, log_dir: Path) -> None:
        self.spec = spec
        self.pid = 0
        self.restarts = 0
        self.ready = asyncio.Event()
        self.ready_at = 0.0  # seconds since 1970, of the process that runs
        self.log_path = log_dir / f"{spec.name}.log"
        self._socket_path = run_dir / "notify" / f"{spec.name}.sock"
        self._log = get_logger("supervisor")
        self._started_at = 0.0

    def status(self) -> dict[str, Any]:
        """What `kubeinstall component status` shows."""
        state = "ready" if self.ready.is_set() else "starting" if self.pid else "waiting"
        seconds = int(time.monotonic() - self._started_at) if self.pid else 0
        return {
            "name": self.spec.name,
            "state": state,
            "pid": self.pid,
            "restarts": self.restarts,
            "seconds": seconds,
            "ready_at": self.ready_at,
        }

    async def run(self) -> None:
        """Start the process, and again whenever it ends."""
        delay = BACKOFF_FIRST
        with self._listen() as notifications:
            reader = asyncio.create_task(self._read(notifications), name=f"notify-{self.spec.name}")
            try:
                while True:
                    code = await self._once()
                    lasted = time.monotonic() - self._started_at
                    delay = BACKOFF_FIRST if lasted > BACKOFF_RESET else delay
                    self._log.warning(
                        "Process ended", process=self.spec.name, code=code, restart_in=delay
                    )
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, BACKOFF_MOST)
                    self.restarts += 1
            finally:
                reader.cancel()
                self._socket_path.unlink(missing_ok=True)

    async def _once(self) -> int:
        output = open_log(self.log_path)
        environment = {**os.environ, **self.spec.environment}
        if self.spec.notify:
            environment["NOTIFY_SOCKET"] = str(self._socket_path)
        try:
            process = await asyncio.create_subprocess_exec(
                *self.spec.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd="/",
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        except OSError as error:
            self._started_at = time.monotonic()
            self._log.error("Process cannot start", process=self.spec.name, error=str(error))
            return -1
        finally:
            os.close(output)
        self.pid = process.pid
        self._started_at = time.monotonic()
        self._log.info("Process started", process=self.spec.name, pid=process.pid)
        if not self.spec.notify:
            self._became_ready()
        try:
            return await process.wait()
        except asyncio.CancelledError:
            await self._end(process)
            raise
        finally:
            self.pid = 0
            self.ready_at = 0.0
            self.ready.clear()

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """SIGTERM, patience, SIGKILL. Only the process itself: containers of containerd outlive it on purpose."""
        if process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self.spec.stop_seconds):
                await process.wait()
        except TimeoutError:
            self._log.warning("Process killed", process=self.spec.name, pid=process.pid)
            process.kill()
            await process.wait()

    def _listen(self) -> socket.socket:
        self._socket_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._socket_path.unlink(missing_ok=True)
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        receiver.bind(str(self._socket_path))
        receiver.setblocking(False)
        return receiver

    async def _read(self, notifications: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            message = await loop.sock_recv(notifications, 4096)
            if b"READY=1" in message.split(b"\n"):
                self._became_ready()

    def _became_ready(self) -> None:
        self.ready_at = self.ready_at or time.time()
        self.ready.set()


def _end_with_parent() -> None:
    """In the child: SIGTERM when the supervisor dies, so that the next supervisor finds ports and files free."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
