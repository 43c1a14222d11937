"""Requests, limits, classes and scores."""

from __future__ import annotations

import pytest

from kubeinstall.kubelet.cgroups import names
from kubeinstall.kubelet.cgroups.files import weight
from kubeinstall.kubelet.pod import resources as r
from tests.unit.kubelet.pods import container, pod, resources


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (resources(), r.BEST_EFFORT),
        (resources(cpu="1"), r.BURSTABLE),
        (resources("1", "1Gi", "1", "1Gi"), r.GUARANTEED),
        (resources("1", "1Gi", "1000m", "1024Mi"), r.GUARANTEED),
        (resources("1", "1Gi", "2", "1Gi"), r.BURSTABLE),
        (resources("", "", "1", ""), r.BURSTABLE),
        ({"requests": {"example.com/gpu": "1"}}, r.BEST_EFFORT),
        (resources(cpu="0"), r.BEST_EFFORT),
    ],
)
def test_quality_of_service(given: dict[str, dict[str, str]], wanted: str) -> None:
    assert r.compute_qos(pod(container(resources=given))) == wanted


def test_one_container_without_limits_is_not_guaranteed() -> None:
    sure = container("a", resources=resources("1", "1Gi", "1", "1Gi"))
    assert r.compute_qos(pod(sure, container("b"))) == r.BURSTABLE


def test_requests_count_init_containers_by_their_maximum_and_sidecars_always() -> None:
    made = pod(
        container(resources=resources(cpu="1")),
        initContainers=[
            container("side", restartPolicy="Always", resources=resources(cpu="500m")),
            container("big", resources=resources(cpu="3")),
        ],
        overhead={"cpu": "100m"},
    )
    assert r.pod_requests(made)["cpu"].milli == 3600  # big with side before it, and the overhead


@pytest.mark.parametrize(
    ("milli", "shares"), [(0, 2), (1, 2), (100, 102), (1000, 1024), (10_000_000, 262144)]
)
def test_cpu_shares(milli: int, shares: int) -> None:
    assert r.cpu_shares(milli) == shares


@pytest.mark.parametrize(("milli", "quota"), [(0, 0), (1, 1000), (250, 25000), (2000, 200000)])
def test_cpu_quota(milli: int, quota: int) -> None:
    assert r.cpu_quota(milli) == quota


@pytest.mark.parametrize(("shares", "wanted"), [(2, 1), (1024, 39), (262144, 10000)])
def test_weight_of_version_2(shares: int, wanted: int) -> None:
    assert weight(shares) == wanted


def test_the_pods_cgroup_is_limited_only_where_all_containers_are() -> None:
    limited = container("a", resources=resources("1", "1Gi", "2", "2Gi"))
    both = r.pod_cgroup_limits(pod(limited, {**limited, "name": "b"}))
    assert (both.shares, both.quota, both.memory) == (2048, 400000, 4 * 2**30)
    one = r.pod_cgroup_limits(pod(limited, container("b")))
    assert (one.shares, one.quota, one.memory) == (1024, None, None)
    assert r.pod_cgroup_limits(pod(container())).shares == 2


def test_oom_scores() -> None:
    gigabyte = 2**30
    best, sure = container(), container(resources=resources("1", "1Gi", "1", "1Gi"))
    assert r.oom_score_adj(pod(best), best, 4 * gigabyte) == 1000
    assert r.oom_score_adj(pod(sure), sure, 4 * gigabyte) == -997
    half = container(resources=resources(memory="2Gi"))
    assert r.oom_score_adj(pod(half), half, 4 * gigabyte) == 500
    tiny = container(resources=resources(memory="1Ki"))
    assert r.oom_score_adj(pod(tiny), tiny, 4 * gigabyte) == 999
    critical = pod(best, priority=2_000_000_000)
    assert r.oom_score_adj(critical, best, 4 * gigabyte) == -997


def test_cgroup_names_of_both_drivers() -> None:
    name = names.pod_name((), r.BURSTABLE, "12-ab")
    assert names.cgroupfs(name) == "/kubepods/burstable/pod12-ab"
    assert names.slice_unit(name) == "kubepods-burstable-pod12_ab.slice"
    assert names.slice_path(name) == (
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12_ab.slice"
    )
    assert names.cgroupfs(names.pod_name(("own",), r.GUARANTEED, "x")) == "/own/kubepods/podx"
