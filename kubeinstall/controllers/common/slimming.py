"""What controllers keep of objects that are many: a whole pod costs 18 KB of memory, this 4 KB.

Objects cut down here must never be written back with an update, only patched.
"""

from __future__ import annotations

from typing import Any

from kubeinstall.api.types import Object
from kubeinstall.client.informer import Transform, drop_managed_fields

_POD_SPEC = (
    "nodeName",
    "hostname",
    "subdomain",
    "hostNetwork",
    "restartPolicy",
    "tolerations",
    "volumes",
    "activeDeadlineSeconds",
    "priorityClassName",
    "overhead",
    "resources",
)
_POD_STATUS = ("phase", "reason", "podIP", "podIPs", "startTime")
_CONDITION = ("type", "status", "reason", "lastTransitionTime")
_CONTAINER = ("name", "ports", "resources", "restartPolicy")


def _only(source: Object, names: tuple[str, ...]) -> Object:
    return {name: source[name] for name in names if name in source}


def slim_pod(pod: Object) -> Object:
    """Identity, placement, ports, resources, volumes, and how its containers ended."""
    meta = dict(pod["metadata"])
    meta.pop("managedFields", None)
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    kept_spec = _only(spec, _POD_SPEC)
    for field in ("containers", "initContainers"):
        if spec.get(field):
            kept_spec[field] = [_only(container, _CONTAINER) for container in spec[field]]
    if spec.get("affinity"):
        kept_spec["affinity"] = spec["affinity"]
    kept_status = _only(status, _POD_STATUS)
    if status.get("conditions"):
        kept_status["conditions"] = [_only(c, _CONDITION) for c in status["conditions"]]
    for field in ("containerStatuses", "initContainerStatuses"):
        if status.get(field):
            kept_status[field] = [_container_status(entry) for entry in status[field]]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": kept_spec,
        "status": kept_status,
    }


def _container_status(status: Object) -> Object:
    kept: dict[str, Any] = {"name": status.get("name")}
    if status.get("restartCount"):
        kept["restartCount"] = status["restartCount"]
    ended = (status.get("state") or {}).get("terminated")
    if ended is not None:
        kept["state"] = {"terminated": _only(ended, ("exitCode", "finishedAt"))}
    return kept


def slim_node(node: Object) -> Object:
    """A node without the list of its images, which is most of it."""
    status = {
        name: value
        for name, value in (node.get("status") or {}).items()
        if name not in {"images", "nodeInfo", "volumesInUse", "volumesAttached", "config"}
    }
    return {**drop_managed_fields(node), "status": status}


#: Transforms by resource; everything else only loses its managedFields.
TRANSFORMS: dict[str, Transform] = {"v1/pods": slim_pod, "v1/nodes": slim_node}
