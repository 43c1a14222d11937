"""Which pods a drain takes, leaves, or stops at; and that it asks again where a budget says no."""

from __future__ import annotations

from typing import Any

import pytest

from kubeinstall.ansible import drain as module
from kubeinstall.ansible.drain import DrainOptions, drain, sort_out
from kubeinstall.errors import Forbidden, KubeinstallError, NotFound, TooManyRequests

Object = dict[str, Any]


def pod(name: str, **parts: Any) -> Object:
    """A pod of a ReplicaSet unless told otherwise."""
    owner = parts.pop("owner", "ReplicaSet")
    owners = [{"kind": owner, "name": f"{name}-owner", "controller": True}] if owner else []
    meta = {"name": name, "namespace": "default", "uid": f"uid-{name}", "ownerReferences": owners}
    return {"metadata": {**meta, **parts.pop("metadata", {})}, "spec": {}, "status": {}, **parts}


def outcome(subject: Object, **options: Any) -> tuple[bool, list[str], list[str]]:
    """(whether it is removed, warnings, errors)."""
    plan = sort_out([subject], {("default", "daemon-owner")}, DrainOptions(**options), now=1000.0)
    return subject in plan.remove, plan.warnings, plan.errors


def test_managed_pods_go_without_a_word() -> None:
    assert outcome(pod("web")) == (True, [], [])


def test_static_pods_stay() -> None:
    mirror = pod("static", owner="Node", metadata={"annotations": {module.MIRROR: "x"}})
    assert outcome(mirror) == (False, [], [])


def test_pods_of_daemon_sets_stop_it_unless_they_are_to_be_left() -> None:
    removed, _, errors = outcome(pod("daemon", owner="DaemonSet"))
    assert not removed
    assert errors == [
        "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): default/daemon"
    ]
    removed, warnings, errors = outcome(pod("daemon", owner="DaemonSet"), ignore_daemonsets=True)
    assert (removed, errors) == (False, [])
    assert warnings == ["ignoring DaemonSet-managed Pods: default/daemon"]


def test_pods_of_a_daemon_set_that_is_gone_need_force() -> None:
    orphan = pod("orphan", owner="DaemonSet")
    assert outcome(orphan, ignore_daemonsets=True)[0] is False
    assert outcome(orphan, ignore_daemonsets=True)[2]
    assert outcome(orphan, ignore_daemonsets=True, force=True)[0] is True


def test_pods_that_nobody_makes_again_need_force() -> None:
    removed, _, errors = outcome(pod("solo", owner=None))
    assert not removed
    assert "use --force to override" in errors[0]
    assert outcome(pod("solo", owner=None), force=True)[0] is True


def test_local_data_needs_a_flag() -> None:
    data = pod("data", spec={"volumes": [{"name": "v", "emptyDir": {}}]})
    assert outcome(data)[0] is False
    assert "--delete-emptydir-data" in outcome(data)[2][0]
    assert outcome(data, delete_emptydir_data=True)[0] is True


def test_finished_pods_go_whatever_they_are() -> None:
    done = pod(
        "job", owner=None, status={"phase": "Succeeded"}, spec={"volumes": [{"emptyDir": {}}]}
    )
    assert outcome(done) == (True, [], [])


def test_pods_that_have_long_been_terminating_are_not_waited_for() -> None:
    old = pod("old", metadata={"deletionTimestamp": "1970-01-01T00:10:00Z"})
    assert outcome(old, skip_wait_seconds=60.0)[0] is False
    assert outcome(old, skip_wait_seconds=600.0)[0] is True


class Cluster:
    """One node with pods; evictions are answered as `refusals` says, then granted."""

    def __init__(self, pods: list[Object], refusals: list[Exception]) -> None:
        self.node: Object = {"metadata": {"name": "n"}, "spec": {}}
        self.pods = {p["metadata"]["name"]: p for p in pods}
        self.refusals = refusals
        self.evictions: list[Object] = []

    async def get(self, gvr: str, name: str, _namespace: str | None = None) -> Object:
        if gvr == module.NODES:
            return self.node
        if name not in self.pods:
            raise NotFound.for_object("", "pods", name)
        return self.pods[name]

    async def patch(self, _gvr: str, _name: str, patch: Object, **_options: Any) -> None:
        self.node["spec"].update(patch["spec"])

    async def list(self, _gvr: str, **_options: Any) -> Object:
        return {"items": list(self.pods.values())}

    async def create(self, _gvr: str, obj: Object, *, subresource: str) -> None:
        assert subresource == "eviction"
        self.evictions.append(obj)
        if self.refusals:
            raise self.refusals.pop(0)
        self.pods.pop(obj["metadata"]["name"])


async def empty(cluster: Cluster, **options: Any) -> tuple[list[str], list[str]]:
    said: list[str] = []
    changes = await drain(cluster, "n", DrainOptions(**options), said.append)  # type: ignore[arg-type]  # a part of it
    return changes, said


async def test_a_budget_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.01)
    no = [TooManyRequests("it would violate the budget") for _ in range(3)]
    cluster = Cluster([pod("web")], list(no))
    changes, said = await empty(cluster)
    assert changes == ["cordon node n", "evict pod default/web"]
    assert cluster.node["spec"]["unschedulable"] is True
    assert len(cluster.evictions) == 4
    assert cluster.evictions[0]["deleteOptions"] == {"preconditions": {"uid": "uid-web"}}
    assert sum("cannot be evicted yet" in line for line in said) == 1


async def test_a_budget_that_never_yields_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.01)
    no = [TooManyRequests("it would violate the budget") for _ in range(1000)]
    with pytest.raises(KubeinstallError, match=r"did not complete within .*default/web.*budget"):
        await empty(Cluster([pod("web")], list(no)), timeout=0.1)


async def test_a_refusal_that_will_not_change_ends_it() -> None:
    with pytest.raises(KubeinstallError, match="default/web: no right"):
        await empty(Cluster([pod("web")], [Forbidden("no right")]))


async def test_nothing_is_evicted_when_one_pod_may_not_go() -> None:
    cluster = Cluster([pod("web"), pod("solo", owner=None)], [])
    with pytest.raises(KubeinstallError, match="default/solo"):
        await empty(cluster)
    assert not cluster.evictions


async def test_a_drained_node_is_no_change() -> None:
    cluster = Cluster([], [])
    cluster.node["spec"]["unschedulable"] = True
    assert await empty(cluster) == ([], [])
