"""Versions that may follow each other, and the links on a host: tried with a real shell."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kubeinstall.ansible.remote_runtime import HOME, switch_script
from kubeinstall.ansible.remote_upgrade import (
    back_script,
    begin_script,
    done_script,
    drop_script,
    look_script,
    purge_script,
    read_look,
    refusal,
)


@pytest.mark.parametrize(
    ("current", "target", "allowed"),
    [
        ("v1.36.0", "v1.36.0", True),
        ("v1.36.0", "v1.36.4", True),
        ("v1.36.3", "v1.37.0", True),
        ("v1.35.9", "v1.37.0", False),
        ("v1.37.0", "v1.36.9", False),
        ("v1.36.2", "v1.36.1", False),
        ("v1.36.0", "v2.0.0", False),
        ("", "v1.36.0", False),
    ],
)
def test_no_minor_is_skipped_and_none_gone_back_to(
    current: str, target: str, allowed: bool
) -> None:
    assert (refusal(current, target, force=False) == "") is allowed


def test_force_allows_any_version_but_no_host_without_one() -> None:
    assert refusal("v1.33.0", "v1.36.0", force=True) == ""
    assert refusal("v1.37.0", "v1.36.0", force=True) == ""
    assert refusal("", "v1.36.0", force=True)


class Host:
    """`/opt/kubeinstall` in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root / "opt"
        self.root.mkdir()

    def runtime(self, name: str, kubernetes: str) -> None:
        package = self.root / name / "lib/python3.11/site-packages/kubeinstall"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(
            f'__version__ = "0.{name}"\n\nKUBERNETES_VERSION = "{kubernetes}"\n'
        )
        (self.root / name / "bin").mkdir()
        program = self.root / name / "bin/python"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        text = script.replace("/usr/local/bin", f"{self.root.parent}/bin").replace(
            HOME, str(self.root)
        )
        text = "systemctl() { false; }\n" + text
        return subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False)

    def link(self, name: str) -> str:
        return (self.root / name).readlink().name


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_switching_keeps_the_one_before_and_no_older(host: Host) -> None:
    for number, name in enumerate("123"):
        host.runtime(name, f"v1.{36 + number}.0")
        assert host.run(switch_script(name)).returncode == 0
    assert (host.link("current"), host.link("previous")) == ("3", "2")
    assert not (host.root / "1").exists()
    assert host.run(switch_script("3")).returncode == 0
    assert (host.link("current"), host.link("previous")) == ("3", "2")


def test_going_back_swaps_the_links(host: Host) -> None:
    for name in "12":
        host.runtime(name, "v1.36.0")
        host.run(switch_script(name))
    done = host.run(back_script())
    assert (done.returncode, done.stdout.strip()) == (0, "1")
    assert (host.link("current"), host.link("previous")) == ("1", "2")


def test_there_is_no_way_back_without_a_runtime_before(host: Host) -> None:
    host.runtime("1", "v1.36.0")
    host.run(switch_script("1"))
    done = host.run(back_script())
    assert done.returncode == 1
    assert "no earlier runtime" in done.stderr
    assert host.link("current") == "1"


def test_what_a_host_says(host: Host) -> None:
    found = read_look(host.run(look_script("1")).stdout)
    assert found is not None
    assert (found.build.runtime, found.build.kubernetes, found.staged) == ("", "", False)
    host.runtime("1", "v1.36.2")
    host.run(switch_script("1"))
    host.run(begin_script("uncordon"))
    host.run(
        begin_script("leave")
    )  # an upgrade that goes on does not forget what the first try found
    found = read_look("Welcome!\n" + host.run(look_script("1")).stdout)
    assert found is not None
    assert (found.build.runtime, found.build.version, found.build.kubernetes) == (
        "1",
        "0.1",
        "v1.36.2",
    )
    assert (found.staged, found.under_way) == (True, "uncordon")
    host.run(done_script())
    found = read_look(host.run(look_script("2")).stdout)
    assert found is not None
    assert (found.staged, found.under_way) == (False, "")
    assert read_look("no such shell") is None


def test_dropping_takes_away_only_what_is_not_used(host: Host) -> None:
    for name in ("1", "2"):
        host.runtime(name, "v1.36.0")
        host.run(switch_script(name))
    host.runtime("3", "v1.36.0")
    for name in ("1", "2", "3"):
        assert host.run(drop_script(name)).returncode == 0
    assert sorted(path.name for path in host.root.iterdir()) == ["1", "2", "current", "previous"]


def test_purging_leaves_nothing(host: Host) -> None:
    host.runtime("1", "v1.36.0")
    host.run(switch_script("1"))
    assert host.run(purge_script()).returncode == 0
    assert not host.root.exists()
