"""What a play decides, what etcd is told, and what a bare host is asked."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubeinstall.ansible import etcd
from kubeinstall.ansible.authorities import FILES
from kubeinstall.ansible.balancer import configuration
from kubeinstall.ansible.components import component_settings
from kubeinstall.ansible.elect import decide
from kubeinstall.ansible.etcdctl import EtcdClient, Member, members_of
from kubeinstall.ansible.inventory.derive import configuration_of
from kubeinstall.ansible.remote_runtime import (
    PROBE,
    Probe,
    foreign_bundle,
    incompatible,
    other_runtime,
    probe_script,
    read_probe,
    shell,
)
from kubeinstall.errors import KubeinstallError
from kubeinstall.provision import etcd as commands
from kubeinstall.provision.etcd import MemberState, remove_member
from tests.unit.inventory.test_inventory import inventory

CONTROL = ("a", "b", "c")
ALL = dict.fromkeys(FILES, "1")


def facts(**changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Bare hosts, with changes."""
    bare = {"authorities": {}, "etcd_data": False, "joined": False, "serving": False}
    return {name: {**bare, **changes.get(name, {})} for name in "abcd"}


def configs() -> dict[str, Any]:
    found = inventory()
    return {name: configuration_of(found, name) for name in found.hosts}


def test_a_host_of_etcd_alone_needs_no_token() -> None:
    """It is no node and never joins: a token for it would be made at every run."""
    found = configs()
    for name in ("b", "c", "d"):
        found[name]["host"]["roles"] = ["etcd"]
    running = {"authorities": ALL, "joined": True}
    assert not decide(found, facts(a=running), ("a",), ("b", "c", "d")).token
    found["d"]["host"]["roles"] = ["node"]
    assert decide(found, facts(a=running), ("a",), ("b", "c")).token


def test_bare_hosts_become_a_new_cluster() -> None:
    decision = decide(configs(), facts(), CONTROL, CONTROL)
    assert (decision.first, decision.carry, decision.etcd_new, decision.token) == (
        "a",
        True,
        True,
        True,
    )


def test_a_running_cluster_is_left_alone() -> None:
    there = {"authorities": ALL, "etcd_data": True, "joined": True, "serving": True}
    decision = decide(
        configs(), facts(a=there, b=there, c=there, d={"joined": True}), CONTROL, CONTROL
    )
    assert (decision.carry, decision.etcd_new, decision.token) == (False, False, False)
    assert decision.serving == CONTROL
    assert not decision.settled


def test_only_a_run_in_which_every_host_is_settled_ends_early() -> None:
    there = {"authorities": ALL, "etcd_data": True, "joined": True, "settled": True}
    worker = {"joined": True, "settled": True}
    assert decide(configs(), facts(a=there, b=there, c=there, d=worker), CONTROL, CONTROL).settled
    for name in "abcd":
        known = facts(a=there, b=there, c=there, d=worker)
        known[name] = {**known[name], "settled": False}
        assert not decide(configs(), known, CONTROL, CONTROL).settled, name
    other = {**there, "authorities": {**ALL, "ca.key": "2"}}
    known = facts(a=there, b=there, c=other, d=worker)
    assert not decide(configs(), known, CONTROL, CONTROL).settled


def test_the_first_control_plane_lost_its_disk() -> None:
    there = {"authorities": ALL, "etcd_data": True, "joined": True}
    decision = decide(configs(), facts(b=there, c=there, d={"joined": True}), CONTROL, CONTROL)
    assert (decision.first, decision.carry, decision.etcd_new) == ("b", True, False)


def test_no_new_cluster_while_a_host_is_left_out() -> None:
    some = {name: fact for name, fact in facts().items() if name != "c"}
    with pytest.raises(KubeinstallError, match="c may have them"):
        decide(configs(), some, CONTROL, CONTROL)


def test_etcd_settings() -> None:
    config = configs()["b"]
    found = etcd.settings(config, new=True, members=config["host"]["etcd"]["members"])
    assert found["listen-client-urls"] == "https://192.0.2.11:2379,https://127.0.0.1:2379"
    assert found["initial-cluster"].split(",")[0] == "a=https://192.0.2.10:2380"
    assert found["client-transport-security"]["client-cert-auth"] is True
    assert found["pre-vote"] is True


def test_settings_of_components() -> None:
    made = configs()
    server = component_settings(made["b"])["kube-apiserver"]
    assert server["etcd-servers"].startswith("https://192.0.2.11:2379,")
    assert server["shutdown-delay-duration"] == "4s"  # balancers see it go before it goes
    worker = component_settings(made["d"])
    identities = {
        worker[name]["kubeconfig"] for name in ("kubelet", "kube-proxy", "kube-podnet", "kube-dns")
    }
    assert identities == {"/etc/kubernetes/kubelet.conf"}
    assert worker["kubelet"]["bootstrap-kubeconfig"] == "/etc/kubernetes/bootstrap-kubelet.conf"


def test_balancer_names_every_server() -> None:
    text = configuration("https://127.0.0.1:6445", {"b": "192.0.2.11:6443", "a": "192.0.2.10:6443"})
    assert "    bind 127.0.0.1:6445\n" in text
    # One that shuts down keeps its connections (first rule), one that fails loses them.
    first, second = (line.strip() for line in text.splitlines() if "http-check expect" in line)
    assert first == 'http-check expect ! rstring "-.shutdown failed" error-status L7OKC'
    assert second == "http-check expect status 200"
    assert "    option httpchk GET /readyz?exclude=etcd\n" in text
    assert text.index("server a 192.0.2.10:6443") < text.index("server b 192.0.2.11:6443")


def test_member_list() -> None:
    entry = {"ID": 255, "name": "a", "peerURLs": ["https://192.0.2.10:2380"], "isLearner": True}
    [member] = members_of(json.dumps({"members": [entry]}))
    assert member == Member("ff", "a", "https://192.0.2.10:2380", "", learner=True)


class FakeEtcd(EtcdClient):
    """Remembers what was asked of it."""

    def run(self, *words: str, seconds: float = 10.0, urls: Any = None) -> str:
        asked.append(words)
        return ""


asked: list[tuple[str, ...]] = []


@pytest.mark.parametrize(("sick", "allowed"), [({"a"}, True), (set(), True), ({"b"}, False)])
def test_removal_keeps_quorum(
    sick: set[str], allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = [
        MemberState(
            Member(name, name, "", f"https://{name}:2379", learner=False), healthy=name not in sick
        )
        for name in CONTROL
    ]
    monkeypatch.setattr(commands, "states", lambda _client: every)
    asked.clear()
    client = FakeEtcd(("https://a:2379",), Path("/nowhere"))
    if allowed:
        assert remove_member(client, "a").name == "a"
        assert asked == [("member", "remove", "a")]
    else:
        with pytest.raises(KubeinstallError, match="lose its quorum"):
            remove_member(client, "a")
        assert asked == []


def test_probe_of_this_machine() -> None:
    said = subprocess.run(
        ["/bin/sh", "-c", shell(PROBE)], capture_output=True, text=True, check=True
    )
    probe = read_probe(said.stdout)
    assert probe is not None
    assert probe.clock > 1_700_000_000
    assert read_probe("Welcome!\n") is None


def said(
    *first: str,
    rest: Sequence[str] = ("trixie", "arm64", "-", "-", "-", "images", "removed", "missing"),
) -> Probe:
    """What a host answers: the first seven lines, and the others."""
    probe = read_probe("\n".join(["kubeinstall-probe", *first, *rest]))
    assert probe is not None
    return probe


def test_a_running_host_with_another_runtime_is_left_as_it_is() -> None:
    first = ("0123", "x86_64", "3.11", "1.5", "0", "debian 12", "usable")
    rest = (
        "bookworm",
        "amd64",
        "1.0",
        "running",
        "installed",
        "images pause.tar",
        "removed d e",
        "missing etcd-server",
    )
    probe = said(*first, rest=rest)
    assert (probe.images, probe.removed, probe.missing) == (
        ("pause.tar",),
        ("d", "e"),
        ("etcd-server",),
    )
    refused = other_runtime(probe, "4567", "1.1")
    assert "runs kubeinstall 1.0 (runtime 0123), and this is 1.1 (runtime 4567)" in refused
    assert "kubeinstall upgrade apply -i" in refused
    assert other_runtime(probe, "0123", "1.0") == ""
    assert other_runtime(replace(probe, running=False), "4567", "1.1") == ""


def test_a_bundle_for_other_hosts_is_refused() -> None:
    probe = said("-", "x86_64", "3.11", "1.5", "0", "debian 12", "-", rest=_BOOKWORM)
    right = {"codename": "bookworm", "architecture": "amd64", "python": "3.11"}
    assert foreign_bundle(probe, right) == ""
    assert foreign_bundle(replace(probe, python=""), right) == ""  # the bundle brings it
    for name, value in (("codename", "trixie"), ("architecture", "arm64"), ("python", "3.13")):
        assert value in foreign_bundle(probe, {**right, name: value})


def test_what_a_host_lacks_is_told_by_its_own_dpkg() -> None:
    wanted = {"dpkg": "", "no-such-package": "", "no-such-either": "sh"}
    answer = subprocess.run(
        ["/bin/sh", "-c", shell(probe_script(wanted))], capture_output=True, text=True, check=True
    )
    probe = read_probe(answer.stdout)
    assert probe is not None
    assert probe.missing == ("no-such-package",)


_BOOKWORM = ("bookworm", "amd64", "-", "-", "-", "images", "removed", "missing")


def test_incompatible_hosts() -> None:
    probe = said("-", "aarch64", "3.13", "1.5", "0", "debian 13", "-")
    assert "the host is aarch64" in incompatible(probe, "3.13", "x86_64")
    assert "the host has Python 3.13 (debian 13)" in incompatible(probe, "3.11", "aarch64")
    assert incompatible(probe, "3.13", "aarch64") == ""
