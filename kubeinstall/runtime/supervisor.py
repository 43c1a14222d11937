"""Keeps processes alive on a host that has no systemd.

`kubeinstall component supervise` runs it; it owns `/run/kubeinstall/supervisor.pid` and answers one-line JSON
requests on `/run/kubeinstall/supervisor.sock`:

    {"do": "status"}                        every process with state, pid and restarts
    {"do": "reload"}                        read the document again and start, stop or restart what differs
    {"do": "restart", "names": ["kubelet"]} stop and start some
    {"do": "wait", "names": [], "seconds": 60}  answer when they are ready (no names: all)
    {"do": "stop"}                          stop everything and end
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kubeinstall.errors import KubeinstallError, SettingsError
from kubeinstall.runtime.child import Child
from kubeinstall.runtime.logfile import rotate
from kubeinstall.runtime.logs import get_logger
from kubeinstall.runtime.notify import notify
from kubeinstall.runtime.processes import ProcessSpec, read_processes

RUN_DIR = Path("/run/kubeinstall")
LOG_DIR = Path("/var/log/kubernetes")
ROTATE_SECONDS = 60.0


class Supervisor:
    """Supervises the processes of one document until told to stop."""

    def __init__(self, document: Path, run_dir: Path = RUN_DIR, log_dir: Path = LOG_DIR) -> None:
        self._document = document
        self._run_dir = run_dir
        self._log_dir = log_dir
        self._children: dict[str, tuple[Child, asyncio.Task[None]]] = {}
        self._stop = asyncio.Event()
        self._busy = asyncio.Lock()  # one change at a time
        self._log = get_logger("supervisor")

    async def run(self) -> None:
        """Supervise until SIGTERM, SIGINT or a stop request; everything started here has ended when this returns."""
        specs = read_processes(self._document)
        self._run_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
        socket_path = self._run_dir / "supervisor.sock"
        pid_path = self._run_dir / "supervisor.pid"
        await self._refuse_second(socket_path)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        server = await asyncio.start_unix_server(self._serve, socket_path)
        socket_path.chmod(0o600)
        pid_path.write_text(f"{os.getpid()}\n")
        rotation = asyncio.create_task(self._rotate(), name="rotate-logs")
        try:
            for spec in specs:
                self._start(spec)
            notify("READY=1")
            await self._stop.wait()
        finally:
            rotation.cancel()
            server.close()
            socket_path.unlink(missing_ok=True)
            async with self._busy:
                await self._stop_children(list(self._children))
            pid_path.unlink(missing_ok=True)

    async def _refuse_second(self, socket_path: Path) -> None:
        try:
            _, writer = await asyncio.open_unix_connection(socket_path)
        except OSError:
            return
        writer.close()
        raise KubeinstallError(f"{socket_path}: a supervisor is already running")

    def _start(self, spec: ProcessSpec) -> None:
        child = Child(spec, self._run_dir, self._log_dir)
        task = asyncio.create_task(child.run(), name=f"child-{spec.name}")
        self._children[spec.name] = (child, task)

    async def _stop_children(self, names: Sequence[str]) -> None:
        """Stop in the reverse order of start: what was started last may need what was started first."""
        for name in reversed(names):
            _, task = self._children.pop(name)
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled() and task.exception() is not None:
                self._log.error("Process lost", process=name, error=str(task.exception()))

    async def _reload(self) -> dict[str, Any]:
        specs = read_processes(self._document)
        wanted = {spec.name: spec for spec in specs}
        running = {name: child.spec for name, (child, _) in self._children.items()}
        stale = [name for name, spec in running.items() if wanted.get(name) != spec]
        await self._stop_children(stale)
        started = [spec for spec in specs if spec.name not in self._children]
        for spec in started:
            self._start(spec)
        return {"stopped": stale, "started": [spec.name for spec in started]}

    def _reload_soon(self) -> None:
        async def reload() -> None:
            try:
                async with self._busy:
                    await self._reload()
            except SettingsError as error:
                self._log.error("Document refused", error=str(error))

        self._reloading = asyncio.create_task(reload(), name="reload")

    async def _restart(self, names: Sequence[str]) -> dict[str, Any]:
        unknown = [name for name in names if name not in self._children]
        if unknown:
            raise SettingsError(f"no process named {unknown[0]!r}")
        specs = [self._children[name][0].spec for name in names]
        await self._stop_children(names)
        for spec in specs:
            self._start(spec)
        return {"restarted": list(names)}

    async def _wait_ready(self, names: Sequence[str], seconds: float) -> dict[str, Any]:
        wanted = names or list(self._children)
        try:
            async with asyncio.timeout(seconds):
                for name in wanted:
                    if name not in self._children:
                        raise SettingsError(f"no process named {name!r}")
                    await self._children[name][0].ready.wait()
        except TimeoutError:
            late = [
                n for n in wanted if n in self._children and not self._children[n][0].ready.is_set()
            ]
            return {"ready": False, "late": late}
        return {"ready": True, "late": []}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await asyncio.wait_for(reader.readline(), 10))
            answer = await self._answer(request)
        except (KubeinstallError, ValueError, TypeError, TimeoutError) as error:
            answer = {"error": str(error)}
        try:
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except ConnectionError:
            return  # whoever asked has gone
        finally:
            writer.close()

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        do, names = request.get("do"), list(request.get("names") or [])
        if do == "status":
            return {"processes": [child.status() for child, _ in self._children.values()]}
        if do == "wait":
            return await self._wait_ready(names, float(request.get("seconds", 60)))
        if do == "stop":
            self._stop.set()
            return {}
        async with self._busy:
            if do == "reload":
                return await self._reload()
            if do == "restart":
                return await self._restart(names)
        raise SettingsError(f"unknown request {do!r}")

    async def _rotate(self) -> None:
        while True:
            await asyncio.sleep(ROTATE_SECONDS)
            for child, _ in self._children.values():
                try:
                    rotate(child.log_path)
                except OSError as error:
                    self._log.warning("Log not rotated", path=str(child.log_path), error=str(error))


def ask(
    request: dict[str, Any], *, run_dir: Path = RUN_DIR, seconds: float = 90.0
) -> dict[str, Any]:
    """Send one request to the running supervisor and return its answer.

    Raises `KubeinstallError` when none runs, when it refuses, or when it does not answer in time.
    """
    import socket

    path = run_dir / "supervisor.sock"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as stream:
                answer: dict[str, Any] = json.loads(stream.readline())
    except (OSError, ValueError) as error:
        raise KubeinstallError(f"{path}: no answer from the supervisor: {error}") from error
    if "error" in answer:
        raise KubeinstallError(str(answer["error"]))
    return answer
