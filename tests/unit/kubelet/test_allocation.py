"""In-place resize: what is desired, what is given, what is done."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from kubeinstall.kubelet.allocation import DEFERRED, INFEASIBLE, Allocations, judge
from kubeinstall.kubelet.pod.resources import effective_limits
from tests.unit.kubelet.pods import container, pod

Object = dict[str, Any]
ALLOCATABLE = {"cpu": "2", "memory": "1Gi"}


def sized(cpu: str) -> Object:
    return pod(container("c", resources={"requests": {"cpu": cpu, "memory": "64Mi"}}))


def cpu_of(made: Object) -> str:
    return str(made["spec"]["containers"][0]["resources"]["requests"]["cpu"])


def test_a_pod_keeps_what_it_was_given_until_it_is_given_more(tmp_path: Path) -> None:
    known = Allocations(tmp_path / "state")
    known.allocate(sized("1"))
    bigger = sized("1500m")
    assert cpu_of(known.view(bigger)) == "1"
    assert cpu_of(bigger) == "1500m", "the desired pod is left alone"
    known.allocate(bigger)
    assert known.view(bigger) is bigger


def test_what_was_given_outlives_the_process(tmp_path: Path) -> None:
    known = Allocations(tmp_path / "state")
    known.allocate(sized("1"))
    known.set_actuated("u", sized("1")["spec"]["containers"][0])
    again = Allocations(tmp_path / "state")
    assert cpu_of(again.view(sized("1500m"))) == "1"
    assert again.actuated("u", "c") == {"requests": {"cpu": "1", "memory": "64Mi"}}
    again.keep([])
    assert not Allocations(tmp_path / "state").has("u")


def test_a_damaged_record_is_as_none(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("{")
    assert not Allocations(tmp_path / "state").has("u")


def test_a_resize_is_in_progress_until_the_runtime_knows(tmp_path: Path) -> None:
    known = Allocations(tmp_path / "state")
    small, large = sized("1"), sized("1500m")
    known.allocate(small)
    assert not known.in_progress(small), "nothing is known of its containers yet"
    known.set_actuated("u", small["spec"]["containers"][0])
    assert known.in_progress(large)
    known.set_actuated("u", large["spec"]["containers"][0])
    assert not known.in_progress(large)
    same = copy.deepcopy(large)
    same["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "1.5"
    assert not known.in_progress(same), "another way to write the same amount"


@pytest.mark.parametrize(
    ("cpu", "reason", "message"),
    [
        ("1500m", None, ""),
        (
            "1600m",
            DEFERRED,
            "Node didn't have enough resource: cpu, requested: 1600, used: 500, capacity: 2000",
        ),
        (
            "2001m",
            INFEASIBLE,
            "Node didn't have enough capacity: cpu, requested: 2001, capacity: 2000",
        ),
    ],
)
def test_a_node_gives_what_it_has(cpu: str, reason: str | None, message: str) -> None:
    found = judge(sized(cpu), [sized("500m")], ALLOCATABLE)
    assert (found and found.reason, found.message if found else "") == (reason, message)


def test_resources_of_the_pod_as_a_whole_are_given_and_awaited_too(tmp_path: Path) -> None:
    known = Allocations(tmp_path / "state")
    small = pod(container(), resources={"limits": {"cpu": "1"}})
    large = pod(container(), resources={"limits": {"cpu": "2"}})
    known.allocate(small)
    assert known.view(large)["spec"]["resources"] == {"limits": {"cpu": "1"}}
    known.set_actuated("u", small["spec"])
    assert known.in_progress(large)
    known.set_actuated("u", large["spec"])
    assert not known.in_progress(large)


def test_a_container_without_a_limit_has_the_pods() -> None:
    made = pod(resources={"limits": {"cpu": "1", "memory": "1Gi"}})
    own = container(resources={"limits": {"cpu": "500m"}})
    found = {name: str(amount) for name, amount in effective_limits(made, own).items()}
    assert found == {"cpu": "500m", "memory": "1Gi"}
