"""The kinds of core/v1 besides pods and claims."""

from __future__ import annotations

import base64
from typing import Final

from kubeinstall.api.defaults import pods
from kubeinstall.api.defaults.common import each, fill, fill_empty, part, round_resources
from kubeinstall.api.types import Object

_AFFINITY_SECONDS: Final = 10800
_NAME_LABEL: Final = "kubernetes.io/metadata.name"


def service(obj: Object) -> None:
    """A Service, without what allocation fills in."""
    spec = part(obj, "spec")
    fill_empty(spec, {"sessionAffinity": "None", "type": "ClusterIP"})
    kind = spec["type"]
    if spec["sessionAffinity"] == "ClientIP":
        _session_affinity(spec)
    elif spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)  # what turning it off leaves behind
    for port in each(spec, "ports"):
        fill_empty(port, {"protocol": "TCP"})
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port", 0)
    external = kind in {"LoadBalancer", "NodePort"}
    if external or (kind == "ClusterIP" and spec.get("externalIPs")):
        fill_empty(spec, {"externalTrafficPolicy": "Cluster"})
    if kind in {"NodePort", "LoadBalancer", "ClusterIP"}:
        fill(spec, {"internalTrafficPolicy": "Cluster"})
    if kind == "LoadBalancer":
        fill(spec, {"allocateLoadBalancerNodePorts": True})
        balancer = part(obj, "status").get("loadBalancer") or {}
        for ingress in each(balancer, "ingress"):
            if ingress.get("ip"):
                fill(ingress, {"ipMode": "VIP"})


def _session_affinity(spec: Object) -> None:
    config = spec.get("sessionAffinityConfig") or {}
    client = config.get("clientIP") or {}
    if client.get("timeoutSeconds") is None:
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": _AFFINITY_SECONDS}}


def endpoints(obj: Object) -> None:
    """Endpoints: protocols."""
    for subset in each(obj, "subsets"):
        for port in each(subset, "ports"):
            fill_empty(port, {"protocol": "TCP"})


def secret(obj: Object) -> None:
    """A Secret: its type, and `stringData` moved into `data`, which upstream's conversion does."""
    texts = obj.pop("stringData", None)
    if texts:
        data = dict(obj.get("data") or {})
        for name, text in texts.items():
            data[name] = base64.b64encode(text.encode()).decode("ascii")
        obj["data"] = data
    fill_empty(obj, {"type": "Opaque"})


def namespace(obj: Object) -> None:
    """A Namespace: the label that names it, and its phase."""
    metadata = part(obj, "metadata")
    name = metadata.get("name")
    if name:
        part(metadata, "labels")[_NAME_LABEL] = name
    fill_empty(part(obj, "status"), {"phase": "Active"})


def node(obj: Object) -> None:
    """A Node: what is allocatable is its capacity until said otherwise."""
    status = part(obj, "status")
    round_resources(status.get("capacity"))
    round_resources(status.get("allocatable"))
    if status.get("allocatable") is None and status.get("capacity"):
        status["allocatable"] = dict(status["capacity"])
    spec = part(obj, "spec")
    first, listed = spec.get("podCIDR"), spec.get("podCIDRs")
    if first and (not listed or listed[0] != first):
        spec["podCIDRs"] = [first]
    elif listed and not first:
        spec["podCIDR"] = listed[0]


def persistent_volume(obj: Object) -> None:
    """A PersistentVolume."""
    fill_empty(part(obj, "status"), {"phase": "Pending"})
    spec = part(obj, "spec")
    fill_empty(spec, {"persistentVolumeReclaimPolicy": "Retain"})
    fill(spec, {"volumeMode": "Filesystem"})
    round_resources(spec.get("capacity"))
    pods.volume_source(spec)


def limit_range(obj: Object) -> None:
    """A LimitRange: a container's default limit from the maximum, its request from limit or minimum."""
    for item in each(part(obj, "spec"), "limits"):
        for name in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
            round_resources(item.get(name))
        if item.get("type") != "Container":
            continue
        default = {**(item.get("max") or {}), **(item.get("default") or {})}
        request = {**(item.get("min") or {}), **default, **(item.get("defaultRequest") or {})}
        if default:
            item["default"] = default
        if request:
            item["defaultRequest"] = request


def resource_quota(obj: Object) -> None:
    """A ResourceQuota: rounded amounts."""
    round_resources(part(obj, "spec").get("hard"))
    status = part(obj, "status")
    round_resources(status.get("hard"))
    round_resources(status.get("used"))


def replication_controller(obj: Object) -> None:
    """A ReplicationController: selector and labels from the template, one replica."""
    spec = part(obj, "spec")
    inner = spec.get("template")
    if inner is not None:
        pods.template(inner)
        labels = (inner.get("metadata") or {}).get("labels")
        if labels:
            metadata = part(obj, "metadata")
            fill_empty(spec, {"selector": dict(labels)})
            fill_empty(metadata, {"labels": dict(labels)})
    fill(spec, {"replicas": 1})


def pod_template(obj: Object) -> None:
    """A PodTemplate."""
    pods.template(part(obj, "template"))
