"""Rows of network kinds."""

from __future__ import annotations

from typing import Any

from kubeinstall.api.table.cells import (
    NONE,
    UNSET,
    Cells,
    age_of,
    at,
    labels_text,
    name_of,
    selector_text,
    some,
)
from kubeinstall.api.types import Object


def service(obj: Object, now: float) -> Cells:
    """Service."""
    spec = obj.get("spec") or {}
    return [
        name_of(obj),
        spec.get("type", ""),
        (spec.get("clusterIPs") or [NONE])[0] or NONE,
        _external(obj, spec),
        ",".join(_port(each) for each in spec.get("ports") or ()) or NONE,
        age_of(obj, now),
        labels_text(spec.get("selector")),
    ]


def _port(port: Object) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}"


def _balancer(obj: Object) -> list[str]:
    found = at(obj, "status", "loadBalancer", "ingress") or ()
    return sorted({each.get("ip") or each.get("hostname") or "" for each in found} - {""})


def _external(obj: Object, spec: Object) -> str:
    kind, ips = spec.get("type"), spec.get("externalIPs") or []
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(ips) or NONE
    if kind == "LoadBalancer":
        return ",".join([*_balancer(obj), *ips]) or "<pending>"
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    return "<unknown>"


def ingress(obj: Object, now: float) -> Cells:
    """Ingress."""
    spec = obj.get("spec") or {}
    hosts = [each["host"] for each in spec.get("rules") or () if each.get("host")]
    shown, _ = some(hosts, len(hosts))
    return [
        name_of(obj),
        spec.get("ingressClassName") or NONE,
        shown or "*",
        ",".join(_balancer(obj)),
        "80, 443" if spec.get("tls") else "80",
        age_of(obj, now),
    ]


def ingress_class(obj: Object, now: float) -> Cells:
    """IngressClass."""
    spec = obj.get("spec") or {}
    found = spec.get("parameters")
    shown = NONE
    if found:
        group = f".{found['apiGroup']}" if found.get("apiGroup") is not None else ""
        shown = f"{found.get('kind')}{group}/{found.get('name')}"
    return [name_of(obj), spec.get("controller", ""), shown, age_of(obj, now)]


def endpoint_slice(obj: Object, now: float) -> Cells:
    """EndpointSlice."""
    ports = obj.get("ports") or []
    numbers = [str(each["port"]) if each.get("port") else each.get("name") or "*" for each in ports]
    addresses = [
        address for each in obj.get("endpoints") or () for address in each.get("addresses") or ()
    ]
    return [
        name_of(obj),
        obj.get("addressType", ""),
        some(numbers, len(numbers))[0] or UNSET,
        some(addresses, len(addresses))[0] or UNSET,
        age_of(obj, now),
    ]


def endpoints(obj: Object, now: float) -> Cells:
    """Endpoints."""
    subsets = obj.get("subsets") or []
    found: list[str] = []
    for subset in subsets:
        addresses = [each.get("ip", "") for each in subset.get("addresses") or ()]
        ports: list[Any] = [each.get("port") for each in subset.get("ports") or ()]
        if not ports:
            found += addresses
        found += [_join(address, port) for port in ports for address in addresses]
    shown = some(found, len(found))[0] if subsets else NONE
    return [name_of(obj), shown, age_of(obj, now)]


def _join(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def network_policy(obj: Object, now: float) -> Cells:
    """NetworkPolicy."""
    return [name_of(obj), selector_text(at(obj, "spec", "podSelector")), age_of(obj, now)]


def service_cidr(obj: Object, now: float) -> Cells:
    """ServiceCIDR."""
    return [name_of(obj), ",".join(at(obj, "spec", "cidrs") or ()), age_of(obj, now)]


def ip_address(obj: Object, now: float) -> Cells:
    """IPAddress."""
    parent = at(obj, "spec", "parentRef")
    shown = NONE
    if parent:
        resource, group = parent.get("resource", ""), parent.get("group", "")
        qualified = f"{resource}.{group}" if group else resource
        parts = [qualified.lower(), parent.get("namespace"), parent.get("name", "")]
        shown = "/".join(part for part in parts if part)
    return [name_of(obj), shown]
