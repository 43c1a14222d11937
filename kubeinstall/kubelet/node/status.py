"""The parts of a Node's status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeinstall import KUBERNETES_VERSION
from kubeinstall.api.times import now
from kubeinstall.api.types import Object
from kubeinstall.kubelet.machine import Machine

VERSION = KUBERNETES_VERSION
MAX_IMAGES = 50
MAX_NAMES = 5

_PRESSURES = {
    "MemoryPressure": (
        ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    ),
    "DiskPressure": (
        ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("KubeletHasDiskPressure", "kubelet has disk pressure"),
    ),
    "PIDPressure": (
        ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
    ),
}


def conditions(
    previous: Sequence[Object], pressure: set[str], not_ready: Sequence[str]
) -> list[Object]:
    """Memory, disk and PID pressure, and Ready; `not_ready` are the reasons why it is not."""
    made = []
    for kind, (well, ill) in _PRESSURES.items():
        reason, message = ill if kind in pressure else well
        made.append(_condition(kind, "True" if kind in pressure else "False", reason, message))
    if not_ready:
        text = ", ".join(not_ready)
        text = f"[{text}]" if len(not_ready) > 1 else text
        made.append(_condition("Ready", "False", "KubeletNotReady", text))
    else:
        made.append(_condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"))
    known = {condition["type"]: condition for condition in previous}
    for condition in made:
        old = known.get(condition["type"])
        same = old is not None and old.get("status") == condition["status"]
        condition["lastTransitionTime"] = (
            old["lastTransitionTime"] if same and old else condition["lastHeartbeatTime"]
        )
    ours = {condition["type"] for condition in made}
    return [c for c in previous if c["type"] not in ours] + made


def _condition(kind: str, status: str, reason: str, message: str) -> Object:
    return {
        "type": kind,
        "status": status,
        "lastHeartbeatTime": now(),
        "reason": reason,
        "message": message,
    }


def node_info(machine: Machine, runtime: Any) -> Object:
    """`status.nodeInfo`."""
    version = str(runtime.runtime_version).split("~", 1)[0].removeprefix("v")
    return {
        "machineID": machine.machine_id,
        "systemUUID": machine.system_uuid,
        "bootID": machine.boot_id,
        "kernelVersion": machine.kernel,
        "osImage": machine.os_image,
        "containerRuntimeVersion": f"{runtime.runtime_name}://{version}",
        "kubeletVersion": VERSION,
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": machine.architecture,
        "swap": {"capacity": 0},
    }


def images(listed: Sequence[Any]) -> list[Object]:
    """The biggest images, with their digests before their tags."""
    made = []
    ordered = sorted(listed, key=lambda image: (-image.size, image.id))
    for image in ordered[:MAX_IMAGES]:
        names = [*image.repo_digests, *image.repo_tags][:MAX_NAMES]
        if names:
            made.append({"names": names, "sizeBytes": image.size})
    return made


def addresses(name: str, ips: Sequence[str]) -> list[Object]:
    """InternalIPs, then Hostname."""
    made = [{"type": "InternalIP", "address": ip} for ip in ips]
    return [*made, {"type": "Hostname", "address": name}]


def runtime_handlers(status: Any) -> list[Object]:
    """`status.runtimeHandlers` from the runtime's `StatusResponse`."""
    made = []
    for handler in status.runtime_handlers:
        features: Object = {
            "recursiveReadOnlyMounts": handler.features.recursive_read_only_mounts,
            "userNamespaces": handler.features.user_namespaces,
        }
        made.append({"name": handler.name, "features": features})
    return made
