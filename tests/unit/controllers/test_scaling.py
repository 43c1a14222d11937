"""Scaling a Deployment in the middle of a rollout, and garbage graph bookkeeping."""

from __future__ import annotations

from typing import Any

import pytest

from kubeinstall.controllers.deployment import facts, scaling
from kubeinstall.controllers.deployment.work import Work
from kubeinstall.controllers.gc.graph import Graph


class Recorder:
    """Stands in for API client and event recorder of a Work: keeps what is asked of them."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}

    async def update(self, _: str, obj: dict[str, Any]) -> dict[str, Any]:
        self.sizes[obj["metadata"]["name"]] = obj["spec"]["replicas"]
        return obj

    def event(self, *_: Any) -> None:
        """Events do not matter here."""


def work(wanted: int, surge: int, sizes: list[int], before: int) -> tuple[Work, Recorder]:
    recorder = Recorder()
    rolling = {"maxSurge": surge, "maxUnavailable": 0}
    deployment = {
        "metadata": {"name": "d", "namespace": "n", "uid": "d"},
        "spec": {
            "replicas": wanted,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            "template": {"spec": {"v": 0}},
        },
    }
    sets = [
        {
            "metadata": {
                "name": f"rs{number}",
                "uid": f"rs{number}",
                "creationTimestamp": f"2026-01-01T00:00:0{number}Z",
                "annotations": {facts.DESIRED: str(before), facts.MAXIMUM: str(before + surge)},
            },
            "spec": {"replicas": size, "template": {"spec": {"v": number}}},
        }
        for number, size in enumerate(sizes)
    ]
    return Work(recorder, recorder, deployment, sets), recorder  # type: ignore[arg-type]  # a stand-in


@pytest.mark.parametrize(
    ("wanted", "surge", "sizes", "before", "expected"),
    [
        (12, 0, [5, 5], 10, {"rs0": 6, "rs1": 6}),
        (5, 0, [7, 3], 10, {"rs0": 3, "rs1": 2}),
        (20, 0, [8, 2], 10, {"rs0": 16, "rs1": 4}),
        (0, 0, [5, 5], 10, {"rs0": 0, "rs1": 0}),
    ],
)
async def test_proportional_scaling(
    wanted: int, surge: int, sizes: list[int], before: int, expected: dict[str, int]
) -> None:
    made, recorder = work(wanted, surge, sizes, before)
    assert scaling.is_scaling(made)
    await scaling._in_proportion(made)
    total = sum(recorder.sizes.values())
    assert total == (wanted + surge if wanted else 0)
    assert recorder.sizes == expected


def obj(uid: str, *owners: str, **meta: Any) -> dict[str, Any]:
    refs = [{"apiVersion": "v1", "kind": "X", "name": o, "uid": o} for o in owners]
    return {
        "metadata": {"name": uid, "uid": uid, "namespace": "n", "ownerReferences": refs, **meta}
    }


def test_graph_asks_about_unknown_owners_and_tells_dependents() -> None:
    deletes: list[str] = []
    orphans: list[str] = []
    graph = Graph(deletes.append, orphans.append)
    graph.observe("v1/xs", "v1", "X", obj("child", "parent"))
    assert deletes == ["parent"]

    def is_virtual() -> bool:
        node = graph.get("parent")
        return node is not None and node.virtual

    assert is_virtual()
    graph.observe("v1/xs", "v1", "X", obj("parent"))
    assert not is_virtual()
    deletes.clear()
    graph.forget("parent")
    assert deletes == ["child"]


def test_graph_foreground_and_orphan() -> None:
    deletes: list[str] = []
    orphans: list[str] = []
    graph = Graph(deletes.append, orphans.append)
    graph.observe("v1/xs", "v1", "X", obj("parent"))
    graph.observe("v1/xs", "v1", "X", obj("child", "parent"))
    dying = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    graph.observe("v1/xs", "v1", "X", obj("parent", finalizers=["foregroundDeletion"], **dying))
    assert deletes == ["child", "parent"]
    deletes.clear()
    graph.forget("child")
    assert deletes == ["parent"]
    graph.observe("v1/xs", "v1", "X", obj("other", finalizers=["orphan"], **dying))
    assert orphans == ["other"]
