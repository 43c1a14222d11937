"""Ways of running `apply` on real hosts that reach no mirror. The order matters."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.apply.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ADMIN = "/etc/kubernetes/admin.conf"
#: What differs between two looks at a host without anybody changing it.
SNAPSHOT = (
    "find /etc /opt /usr /var/lib /var/tmp /root -xdev -type f -not -path '*/systemd/*' -printf '%p %s %T@\\n' "
    "| sort; nft list ruleset 2>/dev/null; systemctl list-units --plain --no-legend --type=service --state=running "
    "| cut -d' ' -f1 | grep -v ssh@; sysctl -n net.ipv4.ip_forward"
)
#: Packages bring these, which a dry run without them cannot know of.
_BY_PACKAGES = re.compile(r"keep /etc/containerd/config.toml|enable etcd.service")
_LEFT = (
    "ls -A /opt/kubeinstall /var/lib/kubeinstall /var/lib/kubelet /var/lib/etcd 2>/dev/null | grep -v '^/\\|^$'; "
    "ls -d /etc/kubernetes /run/kubeinstall /var/lib/kubeinstall-dry-run /usr/local/bin/kubeinstall /root/.ansible "
    "/etc/systemd/system/kube* /var/tmp/kubeinstall* 2>/dev/null; nft list tables 2>/dev/null | grep kube; "
    "ip route show proto 177; ps -eo comm= | grep -E '^(etcd|haproxy|containerd|python)'; true"
)


def changes(said: str) -> dict[tuple[str, str], list[str]]:
    """(host, task) → the changes told below its line."""
    found: dict[tuple[str, str], list[str]] = {}
    lines: list[str] = []
    for line in said.splitlines():
        title = re.match(r"(\w+): \[\w+\] (.*): (changed|ok|FAILED) \(", line)
        if title:
            lines = found.setdefault((title[1], title[2]), [])
        elif re.match(r" {4}\S", line) and not _BY_PACKAGES.search(line):
            lines.append(line.strip())
    return found


def test_a_damaged_bundle_is_named_and_nothing_touched(
    lab: Lab, bundle: Path, tmp_path: Path
) -> None:
    lab.inventory("abc", "c")
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "damaged").write_bytes(data)
    said = lab.call("apply", "--bundle", str(tmp_path / "damaged"), code=1)
    assert re.search(r"damaged: \S+ is damaged", said), said


def test_a_dry_run_tells_what_a_run_does_and_changes_nothing(lab: Lab, bundle: Path) -> None:
    before = {name: lab.run(name, SNAPSHOT) for name in "abc"}
    told = lab.call("apply", "--bundle", str(bundle), "--check", "--diff")
    assert {name: lab.run(name, SNAPSHOT) for name in "abc"} == before
    assert "+    bind 127.0.0.1:6445" in told
    done = lab.call("apply", "--bundle", str(bundle), "--diff")
    expected, real = changes(told), changes(done)
    authorities = ("a", "Make the authorities")  # whose keys keep it out of the log of a real run
    assert expected.pop(authorities)
    real.pop(authorities, None)
    assert expected == real
    nodes = lab.run("a", f"kubectl --kubeconfig={ADMIN} get nodes --no-headers")
    assert re.findall(r"^(\w+)\s+Ready\s", nodes, re.MULTILINE) == ["a", "b", "c"]


def test_a_second_run_changes_nothing_and_tells_so_in_a_dry_run(lab: Lab) -> None:
    for words in ((), ("--check", "--diff")):
        said = lab.call("apply", *words)
        assert re.findall(r"changed=(\d+)", said)[:3] == ["0", "0", "0"], said


def test_a_dry_run_on_a_half_made_host_tells_the_rest(lab: Lab) -> None:
    lab.run("b", "systemctl disable -q --now kube-proxy; rm /etc/kubernetes/haproxy.cfg")
    told = lab.call("apply", "--check", "--diff")
    assert "write /etc/kubernetes/haproxy.cfg" in told
    assert "start kube-proxy.service" in told
    done = lab.call("apply", "--diff")
    assert changes(told) == changes(done)
    assert lab.run("b", "systemctl is-active kube-proxy").strip() == "active"


def test_another_release_is_refused_before_any_host_is_touched(lab: Lab) -> None:
    link = "/opt/kubeinstall/current"
    real = lab.run("b", f"readlink {link}").strip()
    lab.run("b", f"cp -a /opt/kubeinstall/{real} /opt/kubeinstall/other; ln -sfn other {link}")
    try:
        said = lab.call("apply", code=1)
        assert "b: [bootstrap] Look at the host: FAILED" in said
        assert "kubeinstall upgrade apply -i" in said
    finally:
        lab.run("b", f"ln -sfn {real} {link}; rm -rf /opt/kubeinstall/other")
    lab.call("apply")


def test_an_interrupted_run_ends_and_the_next_completes_it(lab: Lab) -> None:
    gone = "/etc/systemd/system/kubelet.service /etc/kubernetes/haproxy.cfg"
    lab.run("c", f"systemctl stop kubelet; rm {gone}")
    process = lab.start("apply")
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith("c: [machine] Prepare the host: changed"), first
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted; run the same command again" in said
    lab.call("apply")
    assert lab.run("c", "systemctl is-active kubelet").strip() == "active"


def test_hosts_that_were_taken_off_are_not_made_anew_unless_named(lab: Lab) -> None:
    lab.call("node", "remove", "b", "c", "--yes")
    servers = lab.run("a", "grep '^    server ' /etc/kubernetes/haproxy.cfg; true")
    assert servers.count("server") <= 1
    assert "server b" not in servers
    refused = lab.call("apply", code=1)
    assert "b was taken off the cluster by `kubeinstall node remove`" in refused
    assert lab.run("b", _LEFT).strip() == ""


def test_a_control_plane_that_comes_back_is_told_to_all_by_one_command(
    lab: Lab, bundle: Path
) -> None:
    said = lab.call("apply", "--limit", "b,c", "--bundle", str(bundle))
    assert "so a take part too" in said
    for name in "abc":
        lines = lab.run(name, "grep -c '^    server ' /etc/kubernetes/haproxy.cfg")
        assert lines.strip() == "3"
    members = lab.run("a", "kubeinstall etcd members")
    assert all(re.search(rf"\b{name}\b", members) for name in "abc")
    assert re.findall(r"changed=(\d+)", lab.call("apply"))[:3] == ["0", "0", "0"]


def test_reset_leaves_nothing_on_any_host(lab: Lab) -> None:
    said = lab.call("reset", "--force")
    assert "nothing is left on 3 hosts" in said
    assert {name: lab.run(name, _LEFT).strip() for name in "abc"} == dict.fromkeys("abc", "")
    lab.call("reset", "--force")
