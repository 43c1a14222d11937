"""The supervisor with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeinstall.errors import KubeinstallError, SettingsError
from kubeinstall.runtime.processes import read_processes
from kubeinstall.runtime.supervisor import Supervisor, ask

NOTIFIER = """
import sys, time
from kubeinstall.runtime.notify import notify
print("starting", flush=True)
time.sleep(0.1)
notify("READY=1")
time.sleep(600)
"""


def write(path: Path, *processes: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump({"processes": list(processes)}))


def sleeper(name: str, seconds: int = 600) -> dict[str, Any]:
    return {"name": name, "command": ["sleep", str(seconds)]}


class Running:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.document = root / "supervisor.yaml"

    async def ask(self, **request: Any) -> dict[str, Any]:
        return await asyncio.to_thread(ask, request, run_dir=self.root / "run", seconds=20)

    async def status(self) -> dict[str, dict[str, Any]]:
        return {item["name"]: item for item in (await self.ask(do="status"))["processes"]}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    it = Running(tmp_path)
    notifier = {"name": "notifier", "command": [sys.executable, "-c", NOTIFIER], "notify": True}
    write(it.document, sleeper("one"), notifier)
    supervisor = Supervisor(it.document, tmp_path / "run", tmp_path / "log")
    task = asyncio.create_task(supervisor.run())
    while not (tmp_path / "run/supervisor.pid").exists():
        assert not task.done(), task
        await asyncio.sleep(0.01)
    yield it
    if not task.done():
        await it.ask(do="stop")
        await asyncio.wait_for(task, 20)


async def test_reports_readiness_and_writes_logs(running: Running) -> None:
    assert await running.ask(do="wait", seconds=15) == {"ready": True, "late": []}
    status = await running.status()
    assert {name: item["state"] for name, item in status.items()} == {
        "one": "ready",
        "notifier": "ready",
    }
    assert (running.root / "log/notifier.log").read_text() == "starting\n"


async def test_restarts_what_dies(running: Running) -> None:
    await running.ask(do="wait", seconds=15)
    before = await running.status()
    os.kill(before["one"]["pid"], signal.SIGKILL)
    async with asyncio.timeout(10):
        while True:
            now = await running.status()
            if now["one"]["restarts"] == 1 and now["one"]["pid"] not in {0, before["one"]["pid"]}:
                break
            await asyncio.sleep(0.05)
    assert now["notifier"]["pid"] == before["notifier"]["pid"]


async def test_reload_touches_only_what_differs(running: Running) -> None:
    await running.ask(do="wait", seconds=15)
    before = await running.status()
    write(running.document, sleeper("one"), sleeper("two"))
    assert await running.ask(do="reload") == {"stopped": ["notifier"], "started": ["two"]}
    after = await running.status()
    assert after["one"]["pid"] == before["one"]["pid"]
    assert set(after) == {"one", "two"}
    write(running.document, sleeper("one", 601), sleeper("two"))
    assert await running.ask(do="reload") == {"stopped": ["one"], "started": ["one"]}


async def test_a_wrong_document_is_refused_and_nothing_changes(running: Running) -> None:
    before = await running.status()
    running.document.write_text("processes: [{name: a}]")
    with pytest.raises(KubeinstallError, match=r"processes\[0\].command: required"):
        await running.ask(do="reload")
    assert set(await running.status()) == set(before)


async def test_a_second_supervisor_is_refused(running: Running) -> None:
    second = Supervisor(running.document, running.root / "run", running.root / "log")
    with pytest.raises(KubeinstallError, match="already running"):
        await second.run()


async def test_stop_ends_every_process(running: Running) -> None:
    await running.ask(do="wait", seconds=15)
    pids = [item["pid"] for item in (await running.status()).values()]
    await running.ask(do="stop")
    async with asyncio.timeout(10):
        while (running.root / "run/supervisor.pid").exists():
            await asyncio.sleep(0.02)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "processes: required"),
        ("processes: [1]", r"processes\[0\]: must be a mapping"),
        ("processes: [{name: a/b, command: [x]}]", r"processes\[0\].name: required"),
        ("processes: [{name: a, command: [x], nope: 1}]", "unknown field 'nope'"),
        ("processes: [{name: a, command: [x]}, {name: a, command: [y]}]", "'a' is there twice"),
        ("{", "cannot be read"),
    ],
)
def test_documents_that_are_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "supervisor.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_processes(path)
