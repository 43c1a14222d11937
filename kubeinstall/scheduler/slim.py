"""Transforms that keep of an object what the scheduler reads: most of a cluster's memory is pods."""

from __future__ import annotations

from kubeinstall.api.types import Object

_META = (
    "name", "namespace", "uid", "resourceVersion", "labels", "annotations", "deletionTimestamp",
    "creationTimestamp", "generation",
)  # fmt: skip
_POD_SPEC = (
    "affinity", "nodeName", "nodeSelector", "overhead", "preemptionPolicy", "priority", "resources",
    "schedulerName", "schedulingGates", "tolerations", "topologySpreadConstraints",
)  # fmt: skip
_CONTAINER = ("name", "image", "ports", "resources", "restartPolicy")
_SIZES = ("name", "resources", "allocatedResources")
_VOLUME = ("name", "persistentVolumeClaim", "ephemeral")


def _metadata(obj: Object, *, annotations: bool = True) -> Object:
    meta = obj["metadata"]
    return {k: meta[k] for k in _META if k in meta and (annotations or k != "annotations")}


def slim_pod(pod: Object) -> Object:
    """What placing needs, and identity for events; a pod that has a node needs less."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    slim: Object = {key: spec[key] for key in _POD_SPEC if spec.get(key)}
    for group in ("containers", "initContainers"):
        if spec.get(group):
            slim[group] = [{k: c[k] for k in _CONTAINER if k in c} for c in spec[group]]
    volumes = [
        {key: volume[key] for key in _VOLUME if key in volume}
        for volume in spec.get("volumes") or []
        if "persistentVolumeClaim" in volume or "ephemeral" in volume
    ]
    if volumes:
        slim["volumes"] = volumes
    meta = _metadata(pod, annotations=False)
    owners = pod["metadata"].get("ownerReferences")
    if owners and not spec.get("nodeName"):
        meta["ownerReferences"] = owners
    kept: Object = {"phase": status.get("phase"), "startTime": status.get("startTime")}
    if status.get("nominatedNodeName"):
        kept["nominatedNodeName"] = status["nominatedNodeName"]
    wanted = "PodResizePending" if spec.get("nodeName") else "PodScheduled"
    conditions = [c for c in status.get("conditions") or [] if c.get("type") == wanted]
    if conditions or not spec.get("nodeName"):
        kept["conditions"] = conditions
    if spec.get("resources"):
        kept.update({k: status[k] for k in ("resources", "allocatedResources") if k in status})
    for group in ("containerStatuses", "initContainerStatuses"):
        entries = [
            {key: entry[key] for key in _SIZES if key in entry}
            for entry in status.get(group) or []
            if entry.get("resources")
        ]
        if entries:
            kept[group] = entries
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": slim, "status": kept}


def slim_node(node: Object) -> Object:
    """Labels, taints, what can be allocated, images."""
    status = node.get("status") or {}
    spec = node.get("spec") or {}
    return {
        "metadata": _metadata(node, annotations=False),
        "spec": {k: spec[k] for k in ("taints", "unschedulable") if k in spec},
        "status": {k: status[k] for k in ("allocatable", "capacity", "images") if k in status},
    }


def slim_namespace(namespace: Object) -> Object:
    """Labels."""
    return {"metadata": _metadata(namespace, annotations=False)}


def slim_selector(owner: Object) -> Object:
    """The selector of a Service or workload."""
    return {
        "metadata": _metadata(owner, annotations=False),
        "spec": {"selector": (owner.get("spec") or {}).get("selector")},
    }


def slim_budget(budget: Object) -> Object:
    """Selector and what disruptions are allowed."""
    status = budget.get("status") or {}
    return {
        "metadata": _metadata(budget, annotations=False),
        "spec": {"selector": (budget.get("spec") or {}).get("selector")},
        "status": {k: status[k] for k in ("disruptionsAllowed", "disruptedPods") if k in status},
    }


def slim_storage(obj: Object) -> Object:
    """Claims, volumes and classes are few: only managedFields go."""
    obj["metadata"].pop("managedFields", None)
    return obj
