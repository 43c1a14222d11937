"""What an update of a Service keeps, and what it loses with a change of type.

A client that read a service before its addresses were given, or that writes only what it cares
about, must not lose them; upstream's REST layer does the same before validation.
"""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.apiserver.hooks import traits


def normalize_on_create(service: Object) -> None:
    """`clusterIP` alone also sets `clusterIPs`."""
    spec = service["spec"]
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]


def normalize_on_update(new: Object, old: Object) -> None:
    """A change of `clusterIP` alone is a change of `clusterIPs[0]`."""
    spec, was = new["spec"], old["spec"]
    if spec.get("clusterIP") == was.get("clusterIP"):
        return
    if (spec.get("clusterIPs") or []) != (was.get("clusterIPs") or []):
        return
    if spec.get("clusterIP"):
        spec["clusterIPs"] = [spec["clusterIP"], *(spec.get("clusterIPs") or [])[1:]]
    else:
        spec.pop("clusterIPs", None)


def keep_allocated(new: Object, old: Object) -> None:
    """Fill in addresses and ports that the update left out."""
    spec, was = new["spec"], old["spec"]
    if traits.needs_cluster_ip(old) and traits.needs_cluster_ip(new):
        if not spec.get("clusterIP") and was.get("clusterIP"):
            spec["clusterIP"] = was["clusterIP"]
        if (
            not spec.get("clusterIPs")
            and spec.get("clusterIP") == was.get("clusterIP")
            and was.get("clusterIPs")
        ):
            spec["clusterIPs"] = list(was["clusterIPs"])
    if traits.needs_node_port(old) and traits.needs_node_port(new):
        _keep_node_ports(spec, was)
    if (
        traits.needs_health_check_port(old)
        and traits.needs_health_check_port(new)
        and not spec.get("healthCheckNodePort")
        and was.get("healthCheckNodePort")
    ):
        spec["healthCheckNodePort"] = was["healthCheckNodePort"]


def _keep_node_ports(spec: Object, was: Object) -> None:
    before = {p.get("name", ""): p.get("nodePort", 0) for p in was.get("ports") or ()}
    used = {p["nodePort"] for p in spec.get("ports") or () if p.get("nodePort")}
    for port in spec.get("ports") or ():
        known = before.get(port.get("name", ""), 0)
        if not port.get("nodePort") and known and known not in used:
            port["nodePort"] = known
            used.add(known)


def drop_meaningless(new: Object, old: Object) -> None:
    """Take away what the new type has no use for, unless the update changed it on purpose."""
    spec, was = new["spec"], old["spec"]

    def wipe(*fields: str) -> None:
        if all(spec.get(field) == was.get(field) for field in fields):
            for field in fields:
                spec.pop(field, None)

    if traits.needs_cluster_ip(old) and not traits.needs_cluster_ip(new):
        wipe("clusterIP", "clusterIPs")
        wipe("ipFamilies")
        wipe("ipFamilyPolicy")
        wipe("internalTrafficPolicy")
    if traits.needs_node_port(old) and not traits.needs_node_port(new):
        _wipe_node_ports(spec, was)
    if traits.needs_health_check_port(old) and not traits.needs_health_check_port(new):
        wipe("healthCheckNodePort")
    if traits.service_type(old) == "LoadBalancer" != traits.service_type(new):
        wipe("allocateLoadBalancerNodePorts")
        wipe("loadBalancerClass")
    if traits.needs_external_policy(old) and not traits.needs_external_policy(new):
        wipe("externalTrafficPolicy")


def _wipe_node_ports(spec: Object, was: Object) -> None:
    before = [p.get("nodePort", 0) for p in was.get("ports") or ()]
    after = [p.get("nodePort", 0) for p in spec.get("ports") or ()]
    if sorted(before) == sorted(after):
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
