"""What a Service and a pod say about an endpoint."""

from __future__ import annotations

import ipaddress
from typing import Any

from kubeinstall.api.types import Object
from kubeinstall.controllers.common import owners, pods

SERVICES = "v1/services"
HEADLESS_LABEL = "service.kubernetes.io/headless"


def selects_pods(service: Object) -> bool:
    """Endpoints of a Service with a selector are ours; the others are made by hand."""
    spec = service["spec"]
    return bool(spec.get("selector")) and spec.get("type") != "ExternalName"


def headless(service: Object) -> bool:
    """`clusterIP: None`."""
    return bool(service["spec"].get("clusterIP") == "None")


def families(service: Object) -> list[str]:
    """ "IPv4", "IPv6" or both, the primary one first."""
    spec = service["spec"]
    if spec.get("ipFamilies"):
        return list(spec["ipFamilies"])
    if ":" in (spec.get("clusterIP") or ""):
        return ["IPv6"]
    return ["IPv4"]


def pod_ip(pod: Object, family: str) -> str:
    """The pod's address of a family, "" for none."""
    status = pod.get("status") or {}
    listed = [entry.get("ip") for entry in status.get("podIPs") or ()] or [status.get("podIP")]
    for address in listed:
        if address and f"IPv{ipaddress.ip_address(address).version}" == family:
            return str(address)
    return ""


def belongs(pod: Object, *, terminating: bool) -> bool:
    """The pod has an address and still lives; `terminating` counts those on their way out too."""
    status = pod.get("status") or {}
    if pods.finished(pod) or not (status.get("podIP") or status.get("podIPs")):
        return False
    return terminating or not owners.deleting(pod)


def hostname(pod: Object, service: Object) -> str:
    """The name that DNS gives the pod under a headless Service, "" for none."""
    spec = pod["spec"]
    mine = spec.get("subdomain") == service["metadata"]["name"]
    same = pod["metadata"].get("namespace") == service["metadata"].get("namespace")
    return spec.get("hostname") or "" if mine and same else ""


def target(pod: Object) -> Object:
    """The ObjectReference of an endpoint's pod."""
    meta = pod["metadata"]
    return {
        "kind": "Pod",
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta["uid"],
    }


def find_port(pod: Object, port: Object) -> int | None:
    """The number of a Service port on this pod: a named target port is looked up in its containers."""
    wanted = port.get("targetPort")
    if wanted in {None, 0, ""}:
        return int(port["port"])
    if isinstance(wanted, int):
        return wanted
    protocol = port.get("protocol") or "TCP"
    spec = pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in [*(spec.get("containers") or ()), *sidecars]:
        for offered in container.get("ports") or ():
            if offered.get("name") == wanted and (offered.get("protocol") or "TCP") == protocol:
                return int(offered["containerPort"])
    return None


def ports(service: Object, pod: Object) -> list[Object]:
    """The endpoint ports of a pod, in the Service's order; a port that it lacks is left out."""
    found: list[Object] = []
    for port in service["spec"].get("ports") or ():
        number = find_port(pod, port)
        if number is None:
            continue
        made: Object = {
            "name": port.get("name") or "",
            "port": number,
            "protocol": port.get("protocol") or "TCP",
        }
        if port.get("appProtocol"):
            made["appProtocol"] = port["appProtocol"]
        found.append(made)
    return found


def relevant(pod: Object) -> tuple[Any, ...]:
    """What of a pod decides about endpoints; equal tuples need no work."""
    status, spec, meta = pod.get("status") or {}, pod["spec"], pod["metadata"]
    return (
        meta.get("labels"),
        owners.deleting(pod),
        pods.finished(pod),
        pods.ready(pod),
        status.get("podIP"),
        status.get("podIPs"),
        spec.get("nodeName"),
        spec.get("hostname"),
        spec.get("subdomain"),
    )
