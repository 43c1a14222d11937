"""Ctrl-C in the middle of a playbook: Ansible ends by itself, and the log so far is kept."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from kubeinstall.provision import logfile
from kubeinstall.provision.display import progress
from kubeinstall.provision.interrupt import interruptible
from kubeinstall.provision.playbook import Play, local_inventory, run_play

PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Sleep
      ansible.builtin.command: sleep 60.5
    - name: Never
      ansible.builtin.command: touch %s
"""


@pytest.mark.timeout(90)
def test_an_interrupted_run_ends_and_keeps_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = tmp_path / "never"
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks/try.yml").write_text(PLAYBOOK % never)
    (tmp_path / "roles").mkdir()
    monkeypatch.setattr("kubeinstall.provision.playbook.shared", lambda name: tmp_path / name)
    monkeypatch.setattr(logfile, "DIRECTORY", tmp_path / "logs")
    before = signal.getsignal(signal.SIGINT)

    def press() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not _sleeping():
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    started = time.monotonic()
    with (
        progress(Console(file=io.StringIO())) as shown,
        pytest.raises(KeyboardInterrupt, match=r"the log so far: .*kubeinstall-try"),
    ):
        run_play(Play("try", local_inventory(), {}), shown)
    thread.join()
    assert time.monotonic() - started < 60
    assert not never.exists()
    assert signal.getsignal(signal.SIGINT) is before
    assert "TASK [Sleep]" in (tmp_path / "logs/kubeinstall-try.log").read_text()
    assert not any("ansible-playbook" in " ".join(c.cmdline()) for c in psutil.Process().children())


def _sleeping() -> bool:
    for child in psutil.Process().children(recursive=True):
        try:
            if child.cmdline() == ["sleep", "60.5"]:
                return True
        except psutil.Error:
            continue
    return False


def test_asked_twice_means_at_once() -> None:
    with interruptible() as interrupt:
        assert not interrupt.kill()
        interrupt.note(signal.SIGINT, None)
        assert interrupt.asked
        assert not interrupt.kill()
        interrupt.note(signal.SIGINT, None)
        assert interrupt.kill()
