"""What a pod asks for, over containers, sidecars, init containers, overhead and pod-level resources."""

from __future__ import annotations

from typing import Any

import pytest

from kubeinstall.scheduler.requests import pod_nonzero_requests, pod_requests


def container(cpu: str, **more: Any) -> dict[str, Any]:
    return {"name": f"c{cpu}", "resources": {"requests": {"cpu": cpu}}, **more}


@pytest.mark.parametrize(
    ("spec", "milli"),
    [
        ({"containers": [container("100m"), container("200m")]}, 300),
        (
            {"containers": [container("1")], "initContainers": [container("3"), container("2")]},
            3000,
        ),
        # A sidecar runs beside the init containers after it and beside the containers.
        (
            {
                "containers": [container("1")],
                "initContainers": [container("2", restartPolicy="Always"), container("3")],
            },
            5000,
        ),
        (
            {
                "containers": [container("4")],
                "initContainers": [container("2", restartPolicy="Always"), container("3")],
            },
            6000,
        ),
        ({"containers": [container("1")], "overhead": {"cpu": "250m"}}, 1250),
        ({"containers": [container("1")], "resources": {"requests": {"cpu": "3"}}}, 3000),
        ({"containers": [container("0.0001")]}, 1),
    ],
)
def test_cpu(spec: dict[str, Any], milli: int) -> None:
    assert pod_requests({"spec": spec})["cpu"] == milli


def test_scoring_assumes_something_of_those_who_ask_for_nothing() -> None:
    spec = {"containers": [{"name": "a"}, container("50m")]}
    assert pod_nonzero_requests({"spec": spec}) == (150, 2 * 200 * 1024 * 1024)


def test_a_pod_being_resized_counts_the_larger() -> None:
    status = {"containerStatuses": [{"name": "c1", "resources": {"requests": {"cpu": "3"}}}]}
    assert pod_requests({"spec": {"containers": [container("1")]}, "status": status})["cpu"] == 3000


def test_a_resize_that_cannot_be_is_not_counted() -> None:
    entry: dict[str, Any] = {
        "name": "c1",
        "resources": {"requests": {"cpu": "1"}},
        "allocatedResources": {"cpu": "2"},
    }
    pod: dict[str, Any] = {
        "spec": {"containers": [{"name": "c1", "resources": {"requests": {"cpu": "9"}}}]},
        "status": {"containerStatuses": [entry]},
    }
    assert pod_requests(pod)["cpu"] == 9000
    for reason, wanted in (("Deferred", 9000), ("Infeasible", 2000)):
        condition = {"type": "PodResizePending", "status": "True", "reason": reason}
        pod["status"]["conditions"] = [condition]
        assert pod_requests(pod)["cpu"] == wanted


def test_resources_of_the_pod_being_resized_count_the_larger_too() -> None:
    pod: dict[str, Any] = {
        "spec": {"containers": [container("1")], "resources": {"requests": {"cpu": "4"}}},
        "status": {"allocatedResources": {"cpu": "6"}},
    }
    assert pod_requests(pod)["cpu"] == 6000
    pod["status"]["allocatedResources"] = {"cpu": "3"}
    assert pod_requests(pod)["cpu"] == 4000
    pod["status"]["conditions"] = [{"type": "PodResizePending", "reason": "Infeasible"}]
    assert pod_requests(pod)["cpu"] == 3000
