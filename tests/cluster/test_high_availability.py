"""Several control planes as one: servers restarted in turn, killed and cut off under load, and nobody notices for long.

`make test-cluster` runs it after test_cluster.py, on the same hosts; alone it makes the cluster first.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import HOSTS, NETWORK, TAG, Lab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

WRITER = Path(__file__).with_name("writer.py")
PYTHON = "/opt/kubeinstall/current/bin/python"
LEASES = ("kube-controller-manager", "kube-scheduler")
#: A lease is respected for 15 s by who saw it renewed last, and asked for every 2 to 4.4 s.
TAKEN_OVER_SECONDS = 15 + 4.4


@pytest.fixture(scope="module")
def cluster(lab: Lab) -> Lab:
    """The hosts with a cluster on them, whichever test made it."""
    if "balanced" not in lab.run("a", "sh", "-c", "ls /root", check=False):
        workers = [name for name in lab.addresses if name not in lab.control_planes]
        lab.inventory(workers)
        lab.apply()
    return lab


class Load:
    """Writers and a watcher on one host, through its own load balancer."""

    def __init__(self, lab: Lab, host: str, seconds: int, prefix: str) -> None:
        self.lab, self.host = lab, host
        lab.write(host, "/root/writer.py", WRITER.read_text())
        environment = {
            "KUBEINSTALL_HOSTS_TAG": TAG,
            "KUBEINSTALL_HOSTS_NETWORK": NETWORK,
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        }
        program = [PYTHON, "/root/writer.py", lab.kubeconfig(host), str(seconds), "4", prefix]
        command = [sys.executable, str(HOSTS), "exec", host, "--", *program]
        self._seconds = seconds
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment
        )

    def end(self) -> dict[str, Any]:
        """What the writers and the watcher tell, with what is true in any case asserted."""
        answer: dict[str, Any] = json.loads(
            self._process.communicate(timeout=self._seconds + 90)[0]
        )
        form = "jsonpath={.items[*].metadata.name}"
        found = self.lab.kubectl(self.host, "get", "configmaps", "-o", form).split()
        assert len(answer["acknowledged"]) > 100, answer
        assert not set(answer["acknowledged"]) - set(found), "acknowledged writes were lost"
        assert not answer["missed"], "a watcher was not told of writes"
        assert (answer["disorder"], answer["relists"]) == (0, 0), answer
        return answer


def outside(lab: Lab, but: str = "") -> str:
    """A host that is no control plane, or else the last control plane that is not `but`."""
    others = [name for name in lab.addresses if name not in lab.control_planes]
    return others[0] if others else [name for name in lab.control_planes if name != but][-1]


def etcd_leader(lab: Lab) -> str:
    """The control plane whose member leads etcd."""
    script = (
        "for m in " + " ".join(lab.addresses[n] for n in lab.control_planes) + "; do "
        "ETCDCTL_API=3 etcdctl --cacert /etc/kubernetes/pki/etcd/ca.crt "
        "--cert /etc/kubernetes/pki/etcd/healthcheck-client.crt "
        "--key /etc/kubernetes/pki/etcd/healthcheck-client.key "
        "--endpoints https://$m:2379 endpoint status -w json; done"
    )
    text = lab.run(lab.control_planes[0], "sh", "-c", script)
    for name, line in zip(lab.control_planes, text.splitlines(), strict=True):
        status = json.loads(line)[0]["Status"]
        if status["leader"] == status["header"]["member_id"]:
            return name
    raise AssertionError(f"no leader: {text}")


def holder(lab: Lab, lease: str, host: str) -> str:
    """The host whose process holds a Lease."""
    form = "jsonpath={.spec.holderIdentity}"
    text = lab.kubectl(host, "-n", "kube-system", "get", "lease", lease, "-o", form)
    return text.strip().partition("_")[0]


def wait_healthy(lab: Lab, host: str, seconds: float = 90) -> None:
    """Until etcd on all hosts and the API server of this one are well."""
    deadline = time.monotonic() + seconds
    while True:
        status = lab.run(host, "kubeinstall", "etcd", "status", check=False)
        admin = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "get", "--raw", "/readyz")
        ready = lab.run(host, *admin, check=False)
        if status.count("healthy") == 3 and "NOT HEALTHY" not in status and ready == "ok":
            return
        assert time.monotonic() < deadline, (status, ready)
        time.sleep(1)


def endpoints(lab: Lab, host: str) -> list[str]:
    """The addresses that `kubernetes` leads to."""
    form = "jsonpath={.subsets[*].addresses[*].ip}"
    return lab.kubectl(host, "get", "endpoints", "kubernetes", "-o", form).split()


def wait_endpoints(lab: Lab, host: str, names: set[str], seconds: float) -> None:
    """Until `kubernetes` leads to exactly these control planes."""
    wanted = sorted(lab.addresses[name] for name in names)
    deadline = time.monotonic() + seconds
    while (found := endpoints(lab, host)) != wanted:
        assert time.monotonic() < deadline, (found, wanted)
        time.sleep(0.5)


def test_servers_restarted_in_turn_under_load(
    cluster: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """No request fails: each server says first that it goes, and the others are asked."""
    where = outside(cluster)
    load = Load(cluster, where, 75, "rolling")
    time.sleep(4)
    for name in cluster.control_planes:
        begun = time.monotonic()
        cluster.run(name, "systemctl", "restart", "kube-apiserver")  # returns when it is ready
        with capsys.disabled():
            sys.stdout.write(f"\n{name}: restarted in {time.monotonic() - begun:.1f} s")
        time.sleep(3)  # until every balancer has seen that it is back
    answer = load.end()
    with capsys.disabled():
        sys.stdout.write(
            f"\nservers restarted in turn: {len(answer['acknowledged'])} writes, {answer['errors']} failed, "
            f"the longest wait {answer['gap']} s\n"
        )
    assert answer["errors"] == 0, answer["reasons"]
    wait_endpoints(cluster, where, set(cluster.control_planes), 30)


def _gone(
    lab: Lab, victim: str, prefix: str, how: str, capsys: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """Load around the loss of a control plane: yields for it to be lost, and again for its return."""
    where = outside(lab, victim)
    others = set(lab.control_planes) - {victim}
    held = [lease for lease in LEASES if holder(lab, lease, where) == victim]
    load = Load(lab, where, 45, prefix)
    time.sleep(5)
    begun = time.monotonic()
    yield
    taken: dict[str, float] = {}
    while len(taken) < len(held):
        for lease in held:
            if lease not in taken and holder(lab, lease, where) != victim:
                taken[lease] = time.monotonic() - begun
        assert time.monotonic() - begun < 2 * TAKEN_OVER_SECONDS, (held, taken)
        time.sleep(0.2)
    lab.kubectl(where, "create", "deployment", prefix, "--image=nginx")
    lab.kubectl(where, "rollout", "status", f"deployment/{prefix}", "--timeout=60s")
    working = time.monotonic() - begun
    wait_endpoints(lab, where, others, 60)
    missed = time.monotonic() - begun
    answer = load.end()
    with capsys.disabled():
        leases = ", ".join(f"{name} taken over after {s:.1f} s" for name, s in taken.items())
        sys.stdout.write(
            f"\n{victim} {how}: {len(answer['acknowledged'])} writes acknowledged, the longest wait {answer['gap']} s, "
            f"{answer['errors']} failed attempts; {leases or 'it held no lease'}; a new Deployment ran after "
            f"{working:.1f} s; its endpoint was gone after {missed:.1f} s\n"
        )
    assert answer["gap"] < 10
    yield
    lab.kubectl(where, "delete", "deployment", prefix)
    wait_healthy(lab, victim)
    wait_endpoints(lab, where, set(lab.control_planes), 60)
    yield


def lose(lab: Lab, victim: str, prefix: str, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Kill or cut off a control plane, look, and bring it back."""
    steps = _gone(lab, victim, prefix, how, capsys)
    next(steps)
    if how == "killed":
        lab.hosts("kill", victim)
    else:
        lab.link(victim, up=False)
    try:
        next(steps)
    finally:
        if how == "killed":
            lab.up(victim)
        else:
            lab.link(victim, up=True)
    next(steps)


def test_the_host_that_leads_etcd_is_killed(
    cluster: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    lose(cluster, etcd_leader(cluster), "leader", "killed", capsys)


def test_the_host_that_holds_the_controllers_lease_is_killed(
    cluster: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = holder(cluster, LEASES[0], outside(cluster))
    lose(cluster, victim, "controllers", "killed", capsys)


def test_the_host_that_holds_the_schedulers_lease_is_cut_off(
    cluster: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = holder(cluster, LEASES[1], outside(cluster))
    lose(cluster, victim, "scheduler", "cut off", capsys)


def test_any_host_is_cut_off(cluster: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    victim = random.choice(cluster.control_planes)
    lose(cluster, victim, "any", "cut off", capsys)
