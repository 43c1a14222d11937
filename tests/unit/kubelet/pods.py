"""Pods for tests."""

from __future__ import annotations

from typing import Any

from kubeinstall.kubelet.cri.types import ContainerStatus, PodRuntime, Sandbox

Object = dict[str, Any]


def pod(*containers: Object, **spec: Any) -> Object:
    """A pod with uid "u" in namespace "ns"."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ns", "uid": "u", "generation": 1},
        "spec": {"containers": list(containers) or [container()], **spec},
    }


def container(name: str = "c", **more: Any) -> Object:
    return {"name": name, "image": "busybox", **more}


def resources(
    cpu: str = "", memory: str = "", cpu_limit: str = "", memory_limit: str = ""
) -> Object:
    asked = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
    allowed = {k: v for k, v in (("cpu", cpu_limit), ("memory", memory_limit)) if v}
    return {"requests": asked, "limits": allowed}


def sandbox(
    *, ready: bool = True, attempt: int = 0, ips: tuple[str, ...] = ("10.0.0.1",)
) -> Sandbox:
    return Sandbox(f"s{attempt}", "p", "ns", "u", attempt, ready, 1000 + attempt, ips)


def status(name: str = "c", state: str = "running", **more: Any) -> ContainerStatus:
    values: Object = {
        "id": f"id-{name}",
        "sandbox_id": "s0",
        "created_at": 10,
        "started_at": 20 * 10**9,
        **more,
    }
    return ContainerStatus(name=name, state=state, **values)


def runtime(
    *containers: ContainerStatus, sandboxes: tuple[Sandbox, ...] | None = None
) -> PodRuntime:
    found = (sandbox(),) if sandboxes is None else sandboxes
    return PodRuntime("u", "p", "ns", found, containers)


class NoProbes:
    """Nothing is probed."""

    def has(self, uid: str, container: str, kind: str) -> bool:
        return False

    def result(self, uid: str, container_id: str, kind: str) -> bool | None:
        return None


class Verdicts(NoProbes):
    """Fixed verdicts by (container id, kind)."""

    def __init__(self, **verdicts: bool) -> None:
        self.verdicts = verdicts

    def has(self, uid: str, container: str, kind: str) -> bool:
        return kind in self.verdicts

    def result(self, uid: str, container_id: str, kind: str) -> bool | None:
        return self.verdicts.get(kind)
