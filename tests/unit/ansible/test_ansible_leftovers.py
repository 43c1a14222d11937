"""What reset finds and removes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kubeinstall.ansible import leftovers
from kubeinstall.ansible.services import ensure_services


def test_trees_that_shrink_meanwhile_are_removed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/file").write_text("x")
    leftovers.remove_tree(tree)
    assert not tree.exists()
    leftovers.remove_tree(tree)


def test_an_empty_mounted_file_system_is_no_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert leftovers.is_left(tmp_path)  # an empty directory of ours is one
    monkeypatch.setattr(Path, "is_mount", lambda path: path == tmp_path)
    assert not leftovers.is_left(tmp_path)
    (tmp_path / "file").write_text("x")
    assert leftovers.is_left(tmp_path)
    assert not leftovers.is_left(tmp_path / "absent")


def test_a_process_is_ended_and_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        leftovers.end_process(process.pid)
        assert process.wait(5) != 0
    leftovers.end_process(process.pid)


def test_component_processes_of_another_settings_file_are_not_ours(tmp_path: Path) -> None:
    script = tmp_path / "kubeinstall.py"
    script.write_text("import time; time.sleep(60)")
    words = [sys.executable, str(script), "component", "run", "kubelet", "--config"]
    with (
        subprocess.Popen([*words, "/etc/kubernetes/components.yaml"]) as ours,
        subprocess.Popen([*words, "/tmp/mine.yaml"]) as other,
    ):
        found = dict(leftovers.component_processes())
        ours.kill()
        other.kill()
    assert found[ours.pid].startswith("kubelet")
    assert other.pid not in found


def test_mount_points_are_found_deepest_first() -> None:
    points = leftovers.mounts(("/proc", "/sys", "/dev"))
    assert points == sorted(points, key=len, reverse=True)
    assert all(os.path.ismount(point) for point in points[:3])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_folder_that_is_mounted_onto_itself_is_seen(tmp_path: Path) -> None:
    look = (
        "from pathlib import Path; import sys; from kubeinstall.ansible import leftovers; "
        "print(leftovers.is_mounted(Path(sys.argv[1])))"
    )
    command = ["unshare", "--mount", "sh", "-ec", 'mount --bind "$1" "$1"; exec "$2" -c "$3" "$1"']
    done = subprocess.run(
        [*command, "sh", str(tmp_path), sys.executable, look],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True\n"
    assert not leftovers.is_mounted(tmp_path)


def test_addresses_are_only_the_cluster_dns() -> None:
    assert leftovers.loopback_addresses("") == []
    assert leftovers.loopback_addresses("127.0.0.1") == ["127.0.0.1/8"]


def test_services_that_are_written_in_check_mode_stay_unwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubeinstall.ansible.paths.SUPERVISOR", tmp_path / "supervisor.yaml")
    monkeypatch.setattr("kubeinstall.ansible.paths.RUN", tmp_path)
    assert ensure_services([], check=True, root=tmp_path).changed
    assert list(tmp_path.iterdir()) == []


def test_routes_to_other_nodes_pods_are_found_by_their_protocol(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[str]] = []

    def run(words: list[str], *, check: bool) -> str:
        asked.append(words)
        assert not check
        return '[{"dst":"10.244.1.0/24","gateway":"192.0.2.1","flags":[]}]' if "-4" in words else ""

    monkeypatch.setattr(leftovers, "run", run)
    assert leftovers.routes() == [("-4", "10.244.1.0/24")]
    assert all(words[-2:] == ["proto", "177"] for words in asked)
    leftovers.remove_route("-4", "10.244.1.0/24")
    assert asked[-1] == ["ip", "-4", "route", "delete", "10.244.1.0/24", "proto", "177"]


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
def test_routes_to_other_nodes_pods_are_found_and_no_others() -> None:
    script = """
ip link add d0 type veth peer name d1
ip addr add 192.0.2.1/24 dev d0
ip link set d0 up
ip route add 10.244.7.0/24 via 192.0.2.2 proto 177
ip route add 10.99.0.0/16 via 192.0.2.2
exec "$0" -c 'from kubeinstall.ansible import leftovers; print(leftovers.routes())'
"""
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script, sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "[('-4', '10.244.7.0/24')]", done.stderr
