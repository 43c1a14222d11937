"""Services, Endpoints."""

from __future__ import annotations

from typing import Any

from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import (
    cidr,
    dns1123_label,
    dns1123_subdomain,
    ip_address,
    ip_family,
    non_special_ip,
    port_number,
    qualified_name,
)
from kubeinstall.api.validation.labels import check_labels
from kubeinstall.api.validation.pod.containers import PROTOCOLS
from kubeinstall.api.validation.pod.probes import check_port

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_LABEL_TYPES = {"LoadBalancer", "NodePort"}
_MOST_AFFINITY = 86400


def check_service(errors: Errors, service: Object) -> None:
    """A Service, new or changed."""
    spec = service.get("spec") or {}
    kind, headless = spec.get("type", ""), spec.get("clusterIP") == "None"
    if not spec.get("ports") and not headless and kind != "ExternalName":
        errors.required("spec.ports")
    if headless and kind in _LABEL_TYPES:
        message = f"may not be set to 'None' for {kind} services"
        errors.invalid("spec.clusterIPs[0]", "None", message)
    if kind == "ExternalName":
        _check_external_name(errors, spec)
    _check_ports(errors, spec)
    check_labels(errors, spec.get("selector"), "spec.selector")
    _check_affinity(errors, spec)
    _check_cluster_ips(errors, spec)
    _check_external_ips(errors, spec.get("externalIPs") or [])
    if not kind:
        errors.required("spec.type")
    else:
        errors.one_of("spec.type", kind, _TYPES)
    if kind == "ClusterIP":
        for index, port in enumerate(spec.get("ports") or []):
            if port.get("nodePort"):
                message = "may not be used when `type` is 'ClusterIP'"
                errors.forbidden(f"spec.ports[{index}].nodePort", message)
    _check_node_ports(errors, spec)
    _check_load_balancer(errors, spec)
    _check_traffic(errors, spec)


def check_service_update(errors: Errors, new: Object, old: Object) -> None:
    """What an update of a Service may not change."""
    now, before = new.get("spec") or {}, old.get("spec") or {}
    keeps = {"ClusterIP", "NodePort", "LoadBalancer"}
    if before.get("type") in keeps and now.get("type") in keeps:
        old_ips, new_ips = before.get("clusterIPs") or [], now.get("clusterIPs") or []
        if old_ips and old_ips[0] and (not new_ips or new_ips[0] != old_ips[0]):
            errors.invalid("spec.clusterIPs[0]", new_ips, "may not change once set")
        elif len(old_ips) == 2 and len(new_ips) == 2 and old_ips[1] != new_ips[1]:
            errors.invalid("spec.clusterIPs[1]", new_ips, "may not change once set")
        old_families, new_families = before.get("ipFamilies") or [], now.get("ipFamilies") or []
        if old_families and new_families and old_families[0] != new_families[0]:
            errors.invalid("spec.ipFamilies[0]", new_families, "may not change once set")
    old_class, new_class = before.get("loadBalancerClass"), now.get("loadBalancerClass")
    if before.get("type") == now.get("type") == "LoadBalancer" and old_class != new_class:
        errors.invalid("spec.loadBalancerClass", new_class, "may not change once set")
    check_service(errors, new)


def _check_external_name(errors: Errors, spec: Object) -> None:
    for field, value in (
        ("clusterIPs", spec.get("clusterIPs")),
        ("ipFamilies", spec.get("ipFamilies")),
    ):
        if value:
            errors.forbidden(f"spec.{field}", "may not be set for ExternalName services")
    if spec.get("ipFamilyPolicy") is not None:
        errors.forbidden("spec.ipFamilyPolicy", "may not be set for ExternalName services")
    name = spec.get("externalName", "")
    plain = name.removesuffix(".")
    if plain:
        errors.each("spec.externalName", plain, dns1123_subdomain(plain))
    else:
        errors.required("spec.externalName")


def _check_ports(errors: Errors, spec: Object) -> None:
    ports = spec.get("ports") or []
    names: set[str] = set()
    for index, port in enumerate(ports):
        at, name = f"spec.ports[{index}]", port.get("name", "")
        if not name and len(ports) > 1:
            errors.required(f"{at}.name")
        elif name:
            errors.each(f"{at}.name", name, dns1123_label(name))
            if name in names:
                errors.duplicate(f"{at}.name", name)
            names.add(name)
        errors.each(f"{at}.port", port.get("port", 0), port_number(port.get("port", 0)))
        if not port.get("protocol"):
            errors.required(f"{at}.protocol")
        else:
            errors.one_of(f"{at}.protocol", port["protocol"], PROTOCOLS)
        if port.get("targetPort") is not None:
            check_port(errors, port["targetPort"], f"{at}.targetPort")
        if port.get("appProtocol") is not None:
            errors.each(
                f"{at}.appProtocol", port["appProtocol"], qualified_name(port["appProtocol"])
            )


def _check_node_ports(errors: Errors, spec: Object) -> None:
    seen_ports: set[tuple[Any, Any]] = set()
    seen_nodes: set[tuple[Any, Any]] = set()
    for index, port in enumerate(spec.get("ports") or []):
        key, at = (port.get("protocol"), port.get("port")), f"spec.ports[{index}]"
        if key in seen_ports:
            errors.duplicate(at, {"port": key[1], "protocol": key[0]})
        seen_ports.add(key)
        if port.get("nodePort"):
            node = (port.get("protocol"), port["nodePort"])
            if node in seen_nodes:
                errors.duplicate(f"{at}.nodePort", {"nodePort": node[1], "protocol": node[0]})
            seen_nodes.add(node)


def _check_affinity(errors: Errors, spec: Object) -> None:
    affinity, config = spec.get("sessionAffinity", ""), spec.get("sessionAffinityConfig")
    if not affinity:
        errors.required("spec.sessionAffinity")
        return
    if affinity not in {"ClientIP", "None"}:
        errors.not_supported("spec.sessionAffinity", affinity, ("ClientIP", "None"))
        return
    if affinity == "None":
        if config is not None:
            message = "must not be set when session affinity is None"
            errors.forbidden("spec.sessionAffinityConfig", message)
        return
    seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
    path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
    if seconds is None:
        errors.required(path, "must not be empty")
    elif not 0 < seconds <= _MOST_AFFINITY:
        errors.invalid(path, seconds, f"must be greater than 0 and less than {_MOST_AFFINITY}")


def _check_cluster_ips(errors: Errors, spec: Object) -> None:
    if spec.get("type") == "ExternalName":
        return
    ips: list[str] = spec.get("clusterIPs") or []
    if len(ips) > 2:
        errors.invalid("spec.clusterIPs", ips, "may only hold up to 2 values")
    for index, ip in enumerate(ips):
        at = f"spec.clusterIPs[{index}]"
        if ip == "None":
            if len(ips) > 1:
                errors.invalid(at, ip, "'None' must be the first and only value")
            continue
        if ip:
            errors.each(at, ip, ip_address(ip))
    _check_families(errors, spec, ips)


def _check_families(errors: Errors, spec: Object, ips: list[str]) -> None:
    families: list[str] = spec.get("ipFamilies") or []
    for index, family in enumerate(families):
        if family not in {"IPv4", "IPv6"}:
            errors.not_supported(f"spec.ipFamilies[{index}]", family, ("IPv4", "IPv6"))
        elif family in families[:index]:
            errors.duplicate(f"spec.ipFamilies[{index}]", family)
    policy = spec.get("ipFamilyPolicy")
    if policy is not None:
        known = ("SingleStack", "PreferDualStack", "RequireDualStack")
        errors.one_of("spec.ipFamilyPolicy", policy, known)
    for index, ip in enumerate(ips):
        version = ip_family(ip)
        if version and index < len(families) and families[index] != f"IPv{version}":
            message = f"expected an {families[index]} value as indicated by `ipFamilies[{index}]`"
            errors.invalid(f"spec.clusterIPs[{index}]", ip, message)
    if len(ips) == 2 and ip_family(ips[0]) == ip_family(ips[1]) != 0:
        message = "may specify no more than one IP for each IP family"
        errors.invalid("spec.clusterIPs", ips, message)


def _check_external_ips(errors: Errors, ips: list[str]) -> None:
    for index, ip in enumerate(ips):
        at = f"spec.externalIPs[{index}]"
        problems = ip_address(ip)
        errors.each(at, ip, problems)
        if not problems:
            errors.each(at, ip, non_special_ip(ip))


def _check_load_balancer(errors: Errors, spec: Object) -> None:
    balanced = spec.get("type") == "LoadBalancer"
    ranges = spec.get("loadBalancerSourceRanges") or []
    if ranges and not balanced:
        message = "may only be used when `type` is 'LoadBalancer'"
        errors.forbidden("spec.LoadBalancerSourceRanges", message)
    for index, text in enumerate(ranges):
        errors.each(f"spec.LoadBalancerSourceRanges[{index}]", text, cidr(text.strip()))
    allocate, name = spec.get("allocateLoadBalancerNodePorts"), spec.get("loadBalancerClass")
    if balanced and allocate is None:
        errors.required("spec.allocateLoadBalancerNodePorts")
    if not balanced and allocate is not None:
        message = "may only be used when `type` is 'LoadBalancer'"
        errors.forbidden("spec.allocateLoadBalancerNodePorts", message)
    if name is not None:
        if not balanced:
            message = "may only be used when `type` is 'LoadBalancer'"
            errors.forbidden("spec.loadBalancerClass", message)
        errors.each("spec.loadBalancerClass", name, qualified_name(name))


def _check_traffic(errors: Errors, spec: Object) -> None:
    external, internal = spec.get("externalTrafficPolicy", ""), spec.get("internalTrafficPolicy")
    outside = spec.get("type") in _LABEL_TYPES or bool(spec.get("externalIPs"))
    if external:
        if not outside:
            message = "may only be set for externally-accessible services"
            errors.invalid("spec.externalTrafficPolicy", external, message)
        else:
            errors.one_of("spec.externalTrafficPolicy", external, ("Cluster", "Local"))
    elif outside and spec.get("type") in _LABEL_TYPES:
        errors.required("spec.externalTrafficPolicy")
    health = spec.get("healthCheckNodePort", 0)
    if health:
        if spec.get("type") != "LoadBalancer" or external != "Local":
            message = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            errors.invalid("spec.healthCheckNodePort", health, message)
        else:
            errors.each("spec.healthCheckNodePort", health, port_number(health))
    if internal is not None:
        errors.one_of("spec.internalTrafficPolicy", internal, ("Cluster", "Local"))
    elif spec.get("type") in {"ClusterIP", *_LABEL_TYPES}:
        errors.required("spec.internalTrafficPolicy")
    distribution = spec.get("trafficDistribution")
    if distribution is not None:
        known = ("PreferClose", "PreferSameNode", "PreferSameZone")
        errors.one_of("spec.trafficDistribution", distribution, known)


def check_endpoints(errors: Errors, endpoints: Object) -> None:
    """Endpoints: addresses and ports of every subset."""
    for index, subset in enumerate(endpoints.get("subsets") or []):
        at = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            errors.required(at, "must specify `addresses` or `notReadyAddresses`")
        for field in ("addresses", "notReadyAddresses"):
            for number, address in enumerate(subset.get(field) or []):
                _check_endpoint_address(errors, address, f"{at}.{field}[{number}]")
        ports = subset.get("ports") or []
        for number, port in enumerate(ports):
            _check_endpoint_port(errors, port, f"{at}.ports[{number}]", named=len(ports) > 1)


def _check_endpoint_address(errors: Errors, address: Object, path: str) -> None:
    ip = address.get("ip", "")
    problems = ip_address(ip)
    errors.each(f"{path}.ip", ip, problems)
    if not problems:
        errors.each(f"{path}.ip", ip, non_special_ip(ip))
    if address.get("hostname"):
        errors.each(f"{path}.hostname", address["hostname"], dns1123_label(address["hostname"]))
    if address.get("nodeName"):
        errors.each(f"{path}.nodeName", address["nodeName"], dns1123_subdomain(address["nodeName"]))


def _check_endpoint_port(errors: Errors, port: Object, path: str, *, named: bool) -> None:
    name = port.get("name", "")
    if not name:
        if named:
            errors.required(f"{path}.name")
    else:
        errors.each(f"{path}.name", name, dns1123_label(name))
    errors.each(f"{path}.port", port.get("port", 0), port_number(port.get("port", 0)))
    if not port.get("protocol"):
        errors.required(f"{path}.protocol")
    else:
        errors.one_of(f"{path}.protocol", port["protocol"], PROTOCOLS)
