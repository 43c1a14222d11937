"""A containerd that somebody ran, and that ours takes the place of, runs again after a reset."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from kubeinstall.ansible import hostinfo, runtime_service

PROGRAM = """
import os, socket, sys
path = sys.argv[1]
if os.path.exists(path): os.unlink(path)
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(path); listener.listen()
    print("up", flush=True)
    while True: listener.accept()[0].close()
"""


def test_it_is_started_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    socket_path = tmp_path / "containerd.sock"
    monkeypatch.setattr(runtime_service, "REPLACED", tmp_path / "state/containerd-before.json")
    monkeypatch.setattr(
        runtime_service, "socket_owner", lambda path=socket_path: _owner(socket_path)
    )
    command = [sys.executable, "-c", PROGRAM, str(socket_path)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as theirs:
        assert theirs.stdout is not None
        assert theirs.stdout.readline() == b"up\n"
        assert runtime_service.replaced() == ""
        runtime_service.remember(theirs.pid)
        theirs.kill()
        theirs.wait()
    assert _owner(socket_path) is None
    assert str(socket_path) in runtime_service.replaced()
    monkeypatch.setattr(
        runtime_service, "wait_for_socket", partial(runtime_service.wait_for_socket, socket_path)
    )
    runtime_service.start_replaced()
    again = _owner(socket_path)
    assert again is not None
    try:
        words = Path(f"/proc/{again}/cmdline").read_bytes().decode().split("\0")[:-1]
        assert words[1:] == command[1:]
        assert Path(f"/proc/{again}/cwd").readlink() == tmp_path
        assert os.getsid(again) == again
        runtime_service.start_replaced()  # runs already: none beside it
        assert _owner(socket_path) == again
    finally:
        os.kill(again, signal.SIGKILL)


_owner = runtime_service.socket_owner


@pytest.mark.parametrize(
    ("systemd", "state", "socket_file", "asked"),
    [
        (True, "inactive", True, False),
        (True, "unknown", False, False),
        (True, "activating", False, True),
        (False, "", False, False),
        (False, "", True, True),
    ],
)
def test_only_a_containerd_that_may_answer_is_asked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    systemd: bool,
    state: str,
    socket_file: bool,
    asked: bool,
) -> None:
    path = tmp_path / "containerd.sock"
    if socket_file:
        path.touch()
    monkeypatch.setattr(hostinfo, "under_systemd", lambda: systemd)
    monkeypatch.setattr(runtime_service, "run", lambda _command, check: f"{state}\n")
    assert runtime_service.will_answer(path) is asked
