"""Preflight: kubeadm's names, every error at once, what to do; on trees made for the purpose."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path

import pytest

from kubeinstall.ansible.preflight import (
    Finding,
    Host,
    check_cpus,
    check_disk,
    check_distribution,
    check_earlier_cluster,
    check_forwarding,
    check_hostname,
    check_kernel,
    check_memory,
    check_ports,
    check_runtime,
    check_swap,
    check_tools,
    check_user,
    failure_text,
    findings,
    verdict,
)


def tree(tmp_path: Path, **files: str) -> Path:
    """A host's root: a healthy Debian 12, with `files` (path with __ for /) laid over."""
    healthy = {
        "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\nVERSION_ID="12"\n',
        "proc/meminfo": "MemTotal:        8000000 kB\n",
        "proc/filesystems": "nodev\toverlay\n",
        "proc/swaps": "Filename\tType\n",
        "proc/sys/net/ipv4/ip_forward": "1\n",
        "proc/sys/kernel/osrelease": "6.1.0\n",
        "sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
        "proc/net/tcp": "  sl  local_address\n",
    }
    for path, text in {**healthy, **{k.replace("__", "/"): v for k, v in files.items()}}.items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return tmp_path


def host(tmp_path: Path, **files: str) -> Host:
    return Host(root=tree(tmp_path, **files), node_name="localhost", is_root=True, cpus=4, tools=())


def test_healthy_host_has_no_findings(tmp_path: Path) -> None:
    assert findings(host(tmp_path)) == []


def texts(found: Iterable[Finding]) -> list[str]:
    return [str(finding).splitlines()[0] for finding in found]


def test_not_root(tmp_path: Path) -> None:
    found = list(check_user(Host(root=tmp_path, is_root=False)))
    assert texts(found) == ["[ERROR IsPrivilegedUser]: user is not running as root"]
    assert "sudo" in found[0].advice


def test_too_few_cpus(tmp_path: Path) -> None:
    assert texts(check_cpus(Host(root=tmp_path, cpus=1))) == [
        "[ERROR NumCPU]: the number of available CPUs 1 is less than the required 2"
    ]


def test_too_little_memory(tmp_path: Path) -> None:
    small = host(tmp_path, proc__meminfo="MemTotal:         512000 kB\n")
    assert texts(check_memory(small)) == [
        "[ERROR Mem]: the system RAM (500 MB) is less than the minimum 1700 MB"
    ]


@pytest.mark.parametrize(
    "release",
    [
        'PRETTY_NAME="Fedora 41"\nID=fedora\n',
        'PRETTY_NAME="Debian 11"\nID=debian\nVERSION_ID="11"\n',
    ],
)
def test_other_distributions(tmp_path: Path, release: str) -> None:
    assert [f.name for f in check_distribution(host(tmp_path, **{"etc__os-release": release}))] == [
        "SystemVerification"
    ]


def test_debian_testing_has_no_version(tmp_path: Path) -> None:
    release = 'PRETTY_NAME="Debian GNU/Linux forky/sid"\nID=debian\n'
    assert list(check_distribution(host(tmp_path, **{"etc__os-release": release}))) == []


def test_no_overlayfs_and_missing_cgroups(tmp_path: Path) -> None:
    files = {"proc__filesystems": "\text4\n", "sys__fs__cgroup__cgroup.controllers": "cpu pids\n"}
    assert texts(check_kernel(host(tmp_path, **files))) == [
        "[ERROR SystemVerification]: missing required kernel feature: overlayfs",
        "[ERROR SystemVerification]: missing required cgroups: cpuset memory",
    ]


def test_overlayfs_as_a_module_that_can_be_loaded(tmp_path: Path) -> None:
    files = {
        "proc__filesystems": "\text4\n",
        "lib__modules__6.1.0__modules.dep": "kernel/fs/overlayfs/overlay.ko: \n",
    }
    assert list(check_kernel(host(tmp_path, **files))) == []


def test_cgroup_v1_controllers(tmp_path: Path) -> None:
    mounts = "".join(
        f"cgroup /sys/fs/cgroup/{name} cgroup rw,{name} 0 0\n"
        for name in ("cpu", "cpuset", "memory", "pids")
    )
    files = {"sys__fs__cgroup__cgroup.controllers": "", "proc__self__mounts": mounts}
    assert list(check_kernel(host(tmp_path, **files))) == []


def test_port_in_use_names_the_port() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        found = list(check_ports(Host(ports=(port,))))
        # This test is itself run by something called pytest, not by kubeinstall.
        assert [f.name for f in found] == [f"Port-{port}"]
        assert f"Port {port} is in use by" in found[0].message
    assert list(check_ports(Host(ports=(port,)))) == []


def test_port_of_an_earlier_run_is_fine(tmp_path: Path) -> None:
    row = "   0: 00000000:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4242 1\n"
    root = tree(tmp_path, proc__net__tcp="  sl\n" + row)
    (root / "proc/77/fd").mkdir(parents=True)
    (root / "proc/77/fd/3").symlink_to("socket:[4242]")
    command = root / "proc/77/cmdline"
    command.write_text("python3\0-m\0nginx\0")
    assert texts(check_ports(Host(root=root))) == [
        "[ERROR Port-6443]: Port 6443 is in use by python3 -m nginx"
    ]
    command.write_text("python3\0-m\0kubeinstall\0component\0run\0kube-apiserver\0")
    assert list(check_ports(Host(root=root))) == []


def test_kubeadms_cluster_is_not_taken_over(tmp_path: Path) -> None:
    files = {"etc__kubernetes__manifests__etcd.yaml": "x"}
    assert texts(check_earlier_cluster(host(tmp_path, **files))) == [
        (
            "[ERROR FileAvailable--etc-kubernetes-manifests-etcd.yaml]: "
            "/etc/kubernetes/manifests/etcd.yaml already exists"
        )
    ]


def test_missing_tool(tmp_path: Path) -> None:
    found = check_tools(Host(root=tmp_path, tools=("sh", "no-such-tool")))
    assert texts(found) == [
        "[ERROR FileExisting-no-such-tool]: no-such-tool not found in system path"
    ]


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "var/lib").mkdir(parents=True)

    class Full:
        f_bavail, f_frsize, f_files, f_favail = 25600, 4096, 1_000_000, 900_000

    monkeypatch.setattr("os.statvfs", lambda _path: Full)
    assert texts(check_disk(Host(root=tmp_path))) == [
        "[ERROR DiskSpace--var-lib]: /var/lib has 100 MB free, 1024 MB are needed"
    ]
    Full.f_bavail, Full.f_favail = 2_000_000, 10
    assert texts(check_disk(Host(root=tmp_path))) == [
        "[ERROR DiskSpace--var-lib]: /var/lib has only 10 free inodes"
    ]


def test_forwarding_that_cannot_be_turned_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = host(tmp_path, proc__sys__net__ipv4__ip_forward="0\n")
    assert list(check_forwarding(off)) == []
    monkeypatch.setattr("os.access", lambda _path, _mode: False)
    assert [f.name for f in check_forwarding(off)] == ["FileContent--proc-sys-net-ipv4-ip_forward"]


def test_swap_is_a_warning(tmp_path: Path) -> None:
    on = host(tmp_path, proc__swaps="Filename\tType\n/dev/sda2 partition 1 0 -2\n")
    [found] = check_swap(on)
    assert (found.level, found.name) == ("WARNING", "Swap")
    assert verdict([found], [])[0] == []


def test_host_names(tmp_path: Path) -> None:
    [bad] = check_hostname(Host(root=tmp_path, node_name="Bad_Name"))
    assert (bad.level, bad.name) == ("ERROR", "Hostname")
    [unknown] = check_hostname(Host(root=tmp_path, node_name="no-such-host.invalid"))
    assert (unknown.level, unknown.name) == ("WARNING", "Hostname")


def test_socket_of_another_runtime(tmp_path: Path) -> None:
    [found] = check_runtime(Host(root=tmp_path, cri_socket="unix:///run/crio/crio.sock"))
    assert found.name == "CRI"


ERRORS = [Finding("ERROR", "NumCPU", "one"), Finding("ERROR", "Mem", "two", "buy some")]


def test_all_errors_are_told_at_once_in_kubeadms_form() -> None:
    assert failure_text(ERRORS) == (
        "[preflight] Some fatal errors occurred:\n"
        "\t[ERROR NumCPU]: one\n"
        "\t[ERROR Mem]: two\n"
        "\t\tWhat to do: buy some\n"
        "[preflight] If you know what you are doing, you can make a check non-fatal with "
        "`--ignore-preflight-errors=...`"
    )


@pytest.mark.parametrize(
    ("ignored", "left"), [(["numcpu"], ["Mem"]), (["all"], []), ([], ["NumCPU", "Mem"])]
)
def test_ignored_errors_become_warnings(ignored: list[str], left: list[str]) -> None:
    errors, warnings = verdict(ERRORS, ignored)
    assert [error.name for error in errors] == left
    assert len(errors) + len(warnings) == 2
    assert all(warning.level == "WARNING" for warning in warnings)
