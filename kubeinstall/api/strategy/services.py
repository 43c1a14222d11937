"""Services: addresses and ports that an update leaves out are the ones it had."""

from __future__ import annotations

from typing import Any, Final

from kubeinstall.api.strategy.generic import same, take
from kubeinstall.api.types import Object

_INTERNAL: Final = frozenset(("ClusterIP", "NodePort", "LoadBalancer"))
_EXTERNAL: Final = frozenset(("NodePort", "LoadBalancer"))


def create(obj: Object) -> None:
    """No status yet; a single cluster address fills the plural."""
    obj["status"] = {"loadBalancer": {}}
    spec = obj.setdefault("spec", {})
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]


def update(new: Object, old: Object) -> None:
    """Keep what was allocated, and drop what the new type has no use for."""
    take(new, old, "status")
    spec, before = new.setdefault("spec", {}), old.get("spec") or {}
    _keep_allocated(spec, before)
    _normalize_addresses(spec, before)
    _drop_unneeded(spec, before)
    if _type(spec) != "LoadBalancer":
        new["status"] = {**(new.get("status") or {}), "loadBalancer": {}}


def _type(spec: Object) -> Any:
    return spec.get("type")


def _needs_health_port(spec: Object) -> bool:
    return _type(spec) == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _needs_traffic_policy(spec: Object) -> bool:
    return _type(spec) in _EXTERNAL or (
        _type(spec) == "ClusterIP" and bool(spec.get("externalIPs"))
    )


def _keep_allocated(spec: Object, before: Object) -> None:
    if _type(spec) in _INTERNAL and _type(before) in _INTERNAL:
        if not spec.get("clusterIP"):
            take(spec, before, "clusterIP")
        if not spec.get("clusterIPs") and same(spec, before, "clusterIP"):
            take(spec, before, "clusterIPs")
    if _type(spec) in _EXTERNAL and _type(before) in _EXTERNAL:
        _keep_node_ports(spec, before)
    if (
        _needs_health_port(spec)
        and _needs_health_port(before)
        and not spec.get("healthCheckNodePort")
    ):
        take(spec, before, "healthCheckNodePort")


def _keep_node_ports(spec: Object, before: Object) -> None:
    used = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
    # By name: the rest of a port may have changed.
    had = {port.get("name", ""): port.get("nodePort") for port in before.get("ports") or ()}
    for port in spec.get("ports") or ():
        number = had.get(port.get("name", ""))
        if not port.get("nodePort") and number and number not in used:
            port["nodePort"] = number
            used.add(number)


def _normalize_addresses(spec: Object, before: Object) -> None:
    """Bring `clusterIPs` in line when a client that knows only `clusterIP` changed it."""
    single = same(spec, before, "clusterIP")
    if before.get("clusterIPs") and not spec.get("clusterIPs") and single:
        take(spec, before, "clusterIPs")
    if single or not same(spec, before, "clusterIPs"):
        return
    if spec.get("clusterIP"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    else:
        spec.pop("clusterIPs", None)


def _drop_unneeded(spec: Object, before: Object) -> None:
    """Clear what the server may have set for the old type, unless the client changed it as well."""
    if _type(before) in _INTERNAL and _type(spec) not in _INTERNAL:
        if same(spec, before, "clusterIP", "clusterIPs"):
            for name in ("clusterIP", "clusterIPs"):
                spec.pop(name, None)
        _drop_same(spec, before, "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")
    external = _type(before) in _EXTERNAL and _type(spec) not in _EXTERNAL
    if external and _node_ports(spec) <= _node_ports(before):
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
    if _needs_health_port(before) and not _needs_health_port(spec):
        _drop_same(spec, before, "healthCheckNodePort")
    if _type(before) == "LoadBalancer" and _type(spec) != "LoadBalancer":
        _drop_same(spec, before, "loadBalancerClass", "allocateLoadBalancerNodePorts")
    if _needs_traffic_policy(before) and not _needs_traffic_policy(spec):
        _drop_same(spec, before, "externalTrafficPolicy")


def _drop_same(spec: Object, before: Object, *names: str) -> None:
    for name in names:
        if same(spec, before, name):
            spec.pop(name, None)


def _node_ports(spec: Object) -> set[int]:
    return {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
