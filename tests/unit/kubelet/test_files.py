"""Files on disk: atomic content, log reading, configuration, static manifests, back-off."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from kubeinstall.errors import SettingsError
from kubeinstall.kubelet.admission import Refused, _node, _resources, _sysctls
from kubeinstall.kubelet.backoff import Backoffs
from kubeinstall.kubelet.config import document_of, load_configuration
from kubeinstall.kubelet.eviction import threshold
from kubeinstall.kubelet.logs.follow import LogOptions, read_log
from kubeinstall.kubelet.logs.read import parse_line, tail_bytes, tail_offset
from kubeinstall.kubelet.machine import allocatable
from kubeinstall.kubelet.server.auth import subresources
from kubeinstall.kubelet.server.logs import log_target
from kubeinstall.kubelet.sources.static import parse_manifest
from kubeinstall.kubelet.volumes import atomic
from kubeinstall.kubelet.volumes.atomic import Entry
from tests.unit.kubelet.pods import container, pod, resources


def test_content_is_switched_at_once(tmp_path: Path) -> None:
    assert atomic.write(tmp_path, {"a": Entry(b"1", 0o644), "deep/b": Entry(b"2", 0o400)})
    assert (tmp_path / "a").readlink() == Path("..data/a")
    assert (tmp_path / "deep/b").read_bytes() == b"2"
    assert (tmp_path / "deep/b").stat().st_mode & 0o777 == 0o400
    first = (tmp_path / "..data").readlink()
    assert not atomic.write(tmp_path, {"a": Entry(b"1", 0o644), "deep/b": Entry(b"2", 0o400)})
    assert (tmp_path / "..data").readlink() == first
    assert atomic.write(tmp_path, {"a": Entry(b"3", 0o644)})
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("..")) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"3"
    assert not (tmp_path / first).exists()


def test_a_crash_between_writes_leaves_old_content(tmp_path: Path) -> None:
    atomic.write(tmp_path, {"a": Entry(b"1", 0o644)})
    (tmp_path / "..data_tmp").symlink_to("nowhere")
    assert atomic.write(tmp_path, {"a": Entry(b"2", 0o644)})
    assert (tmp_path / "a").read_bytes() == b"2"


def lines(path: Path, count: int) -> Path:
    path.write_text(
        "".join(f"2026-01-01T00:00:{n:02d}.000000000Z stdout F line {n}\n" for n in range(count))
    )
    return path


def test_log_lines() -> None:
    whole = parse_line(b"2026-01-01T00:00:00Z stdout F a b\n")
    part = parse_line(b"2026-01-01T00:00:00Z stderr P a\n")
    assert whole is not None
    assert part is not None
    assert (whole.text, part.text, part.stream) == (b"a b\n", b"a", b"stderr")
    assert parse_line(b"junk\n") is None


@pytest.mark.parametrize("count", [0, 1, 3, 60, 100])
def test_tails(tmp_path: Path, count: int) -> None:
    path = lines(tmp_path / "log", 60)
    tail = path.read_bytes()[tail_offset(path, count) :]
    assert tail.count(b"\n") == min(count, 60)
    assert tail_bytes(path, 2, 1000) == "line 58\nline 59\n"
    assert tail_bytes(tmp_path / "none", 2, 10) == ""


async def read(path: Path, **options: object) -> bytes:
    chunks = [c async for c in read_log(path, LogOptions(**options), lambda: False)]  # type: ignore[arg-type]  # kwargs
    return b"".join(chunks)


async def test_log_options(tmp_path: Path) -> None:
    path = lines(tmp_path / "log", 5)
    assert await read(path) == b"line 0\nline 1\nline 2\nline 3\nline 4\n"
    assert await read(path, tail_lines=1) == b"line 4\n"
    assert await read(path, tail_lines=0) == b""
    assert await read(path, limit_bytes=3) == b"lin"
    assert await read(path, since=b"2026-01-01T00:00:03") == b"line 3\nline 4\n"
    assert (
        await read(path, tail_lines=1, timestamps=True)
        == b"2026-01-01T00:00:04.000000000Z line 4\n"
    )
    assert await read(path, stream="Stderr") == b""


async def test_following_goes_on_in_the_new_file_after_rotation(tmp_path: Path) -> None:
    path = lines(tmp_path / "log", 2)
    states = iter([True] * 8 + [False] * 50)

    def alive() -> bool:
        now = next(states)
        if now and not (tmp_path / "log.1").exists():
            path.rename(tmp_path / "log.1")
            path.write_text("2026-01-01T00:01:00Z stdout F new\n")
        return now

    chunks = [c async for c in read_log(path, LogOptions(follow=True), alive)]
    assert b"".join(chunks) == b"line 0\nline 1\nnew\n"


def test_which_log_is_meant() -> None:
    ended = {"containerID": "containerd://old", "exitCode": 1}
    status = {
        "containerStatuses": [
            {"name": "c", "state": {"waiting": {"reason": "X"}}, "lastState": {"terminated": ended}}
        ]
    }
    assert log_target(status, "p", "c", previous=False) == "old"
    assert log_target(status, "p", "c", previous=True) == "old"
    status["containerStatuses"][0]["lastState"] = {}
    with pytest.raises(LookupError, match='container "c" in pod "p" is waiting to start: X'):
        log_target(status, "p", "c", previous=False)
    with pytest.raises(LookupError, match='previous terminated container "c" in pod "p" not found'):
        log_target(status, "p", "c", previous=True)


def test_configuration_files(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    head = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
    path.write_text(
        head
        + "clusterDNS: [10.96.0.10]\nfileCheckFrequency: 0s\ncpuCFSQuota: false\nmaxPods: 7\nunknown: 1\n"
    )
    found = load_configuration(path)
    assert (found.cluster_dns, found.file_check_frequency, found.cpu_cfs_quota, found.max_pods) == (
        ["10.96.0.10"],
        20.0,
        False,
        7,
    )
    assert document_of(found)["imageGCHighThresholdPercent"] == 85
    path.write_text(head + "maxPods: many\n")
    with pytest.raises(SettingsError, match="maxPods"):
        load_configuration(path)
    path.write_text("kind: Other\n")
    with pytest.raises(SettingsError, match="KubeletConfiguration"):
        load_configuration(path)


def test_static_manifests(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(
        "kind: Pod\nmetadata: {name: etcd}\nspec: {containers: [{name: c, image: x}]}\n"
    )
    first = parse_manifest(path, "n1")
    assert first["metadata"]["name"] == "etcd-n1"
    assert first["metadata"]["namespace"] == "default"
    assert first["metadata"]["uid"] == parse_manifest(path, "n1")["metadata"]["uid"]
    path.write_text(path.read_text().replace("image: x", "image: y"))
    assert first["metadata"]["uid"] != parse_manifest(path, "n1")["metadata"]["uid"]
    path.write_text("kind: Deployment\n")
    with pytest.raises(ValueError, match="not a Pod"):
        parse_manifest(path, "n1")


def test_back_off_doubles_up_to_its_cap() -> None:
    backoffs = Backoffs(10, 300)
    now = time.time()
    assert backoffs.waiting("k", now) == 0
    pauses = []
    for _ in range(7):
        backoffs.next("k", now)
        pauses.append(backoffs.pause("k"))
    assert pauses == [10, 20, 40, 80, 160, 300, 300]
    assert 299 < backoffs.waiting("k", now) <= 300
    backoffs.next("k", now + 601)
    assert backoffs.pause("k") == 10


def test_admission() -> None:
    with pytest.raises(Refused, match="requested: 3000, used: 1500, capacity: 4000"):
        _resources(
            pod(container(resources=resources(cpu="3"))),
            [pod(container(resources=resources(cpu="1500m")))],
            {"cpu": "4", "pods": "110"},
        )
    with pytest.raises(Refused) as many:
        _resources(pod(), [pod()], {"pods": "1"})
    assert many.value.reason == "OutOfpods"
    with pytest.raises(Refused) as unsafe:
        _sysctls(pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}), [])
    assert unsafe.value.reason == "SysctlForbidden"
    _sysctls(
        pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}), ["kernel.msg*"]
    )
    _node(pod(nodeSelector={"a": "b"}), {"a": "b"})
    with pytest.raises(Refused):
        _node(pod(nodeSelector={"a": "b"}), {"a": "c"})


def test_allocatable_and_thresholds() -> None:
    total = {"cpu": "4", "memory": "1024Ki", "pods": "110"}
    made = allocatable(total, [{"cpu": "500m"}], {"memory.available": "100Ki"})
    assert made == {"cpu": "3500m", "memory": "924Ki", "pods": "110"}
    assert (threshold("10%", 500), threshold("1Ki", 5)) == (50, 1024)


def test_what_a_path_is_of_the_node() -> None:
    assert subresources("/exec/ns/p/c") == ["proxy"]
    assert subresources("/metrics/resource") == ["metrics"]
    assert subresources("/stats/summary") == ["stats"]
    assert subresources("/pods") == ["pods", "proxy"]
    assert subresources("/logs/x") == ["log"]


def test_sub_paths_do_not_leave_the_volume(tmp_path: Path) -> None:
    from kubeinstall.kubelet.volumes import subpath
    from kubeinstall.kubelet.volumes.payload import PayloadProblem

    volume = tmp_path / "v"
    volume.mkdir()
    (volume / "out").symlink_to(tmp_path)
    for bad in ("../x", "/etc", "out"):
        with pytest.raises(PayloadProblem):
            subpath.bind(volume, bad, tmp_path / "target")
    with pytest.raises(PayloadProblem):
        subpath.bind(volume, "out/new", tmp_path / "target")
    assert not os.path.lexists(tmp_path / "new")
