"""A playbook ends with the command that runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = """
import sys
from pathlib import Path
from rich.console import Console
from kubeinstall.provision import playbook
from kubeinstall.provision.display import progress

playbook.shared = lambda name: Path(sys.argv[1])
play = playbook.Play(playbook="long", inventory=playbook.local_inventory(), variables={})
with progress(Console(quiet=True), verbosity=0) as shown:
    playbook.run_play(play, shown)
"""
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.shell: "touch {begun}; sleep 60"
    - ansible.builtin.command: "touch {ended}"
"""


def test_a_killed_command_leaves_no_run_behind(tmp_path: Path) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    (tmp_path / "long.yml").write_text(PLAY.format(begun=begun, ended=ended))
    command = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=Path(__file__).parents[3]
    )
    try:
        deadline = time.monotonic() + 60
        while not begun.exists():
            assert time.monotonic() < deadline, "the playbook never began"
            assert command.poll() is None
            time.sleep(0.05)
    finally:
        command.kill()
        command.wait()
    deadline = time.monotonic() + 30
    while _runs_of(command.pid):
        assert time.monotonic() < deadline, "Ansible still runs"
        time.sleep(0.1)
    assert not ended.exists()


def _runs_of(pid: int) -> list[str]:
    """Processes that work in the folder of that command's run."""
    mark, found = f"kubeinstall-play-{pid}-", []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if mark in line and state != "Z" and int(entry.name) != os.getpid():
            found.append(line)
    return found
