"""Transforms that keep of an object what the pod network reads."""

from __future__ import annotations

from kubeinstall.api.types import Object

_META = ("name", "namespace", "uid", "resourceVersion", "labels")


def _metadata(obj: Object, *, labels: bool = True) -> Object:
    meta = obj["metadata"]
    return {key: meta[key] for key in _META if key in meta and (labels or key != "labels")}


def slim_node(node: Object) -> Object:
    """Pod CIDRs and addresses."""
    spec, status = node.get("spec") or {}, node.get("status") or {}
    return {
        "metadata": _metadata(node, labels=False),
        "spec": {k: spec[k] for k in ("podCIDR", "podCIDRs") if k in spec},
        "status": {"addresses": status.get("addresses") or []},
    }


def slim_pod(pod: Object) -> Object:
    """Labels, addresses, named ports."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    slim: Object = {k: spec[k] for k in ("nodeName", "hostNetwork") if spec.get(k)}
    for group in ("containers", "initContainers"):
        ports = [
            {"ports": [port for port in container.get("ports") or [] if port.get("name")]}
            for container in spec.get(group) or []
        ]
        if any(entry["ports"] for entry in ports):
            slim[group] = ports
    return {
        "metadata": _metadata(pod),
        "spec": slim,
        "status": {k: status[k] for k in ("phase", "podIP", "podIPs") if k in status},
    }


def slim_namespace(namespace: Object) -> Object:
    """Labels."""
    return {"metadata": _metadata(namespace)}


def slim_policy(policy: Object) -> Object:
    """The spec."""
    return {"metadata": _metadata(policy, labels=False), "spec": policy.get("spec") or {}}
