"""networking.k8s.io and discovery.k8s.io: Ingresses, NetworkPolicies, ServiceCIDRs, IPAddresses, EndpointSlices."""

from __future__ import annotations

import ipaddress

from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import (
    cidr,
    dns1035_label,
    dns1123_label,
    dns1123_subdomain,
    domain_prefixed_path,
    ip_address,
    ip_family,
    non_special_ip,
    parse_network,
    port_name,
    port_number,
    qualified_name,
    wildcard_subdomain,
)
from kubeinstall.api.validation.labels import check_label_selector
from kubeinstall.api.validation.pod.containers import PROTOCOLS
from kubeinstall.api.validation.pod.probes import check_port

_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_BAD_SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
_BAD_SUFFIXES = ("/..", "/.")


def check_ingress(errors: Errors, ingress: Object) -> None:
    """An Ingress."""
    spec = ingress.get("spec") or {}
    rules, default = spec.get("rules") or [], spec.get("defaultBackend")
    for index, entry in enumerate(spec.get("tls") or []):
        for number, host in enumerate(entry.get("hosts") or []):
            _check_host(errors, host, f"spec.tls[{index}].hosts[{number}]", address=False)
    if default is not None:
        _check_backend(errors, default, "spec.defaultBackend")
    elif not rules:
        errors.invalid("spec", rules, "either `defaultBackend` or `rules` must be specified")
    for index, rule in enumerate(rules):
        at = f"spec.rules[{index}]"
        if rule.get("host"):
            _check_host(errors, rule["host"], f"{at}.host", address=True)
        http = rule.get("http")
        if http is not None:
            if not http.get("paths"):
                errors.required(f"{at}.http.paths")
            for number, path in enumerate(http.get("paths") or []):
                _check_path(errors, path, f"{at}.http.paths[{number}]")
    name = spec.get("ingressClassName")
    if name is not None:
        errors.each("spec.ingressClassName", name, dns1123_subdomain(name))


def _check_host(errors: Errors, host: str, path: str, *, address: bool) -> None:
    if address and ip_family(host):
        errors.invalid(path, host, "must be a DNS name, not an IP address")
    if "*" in host:
        errors.each(path, host, wildcard_subdomain(host))
    else:
        errors.each(path, host, dns1123_subdomain(host))


def _check_path(errors: Errors, item: Object, path: str) -> None:
    kind, text = item.get("pathType"), item.get("path", "")
    if kind is None:
        errors.required(f"{path}.pathType", "pathType must be specified")
        return
    if kind in {"Exact", "Prefix"}:
        if not text.startswith("/"):
            errors.invalid(f"{path}.path", text, "must be an absolute path")
        if text:
            for sequence in _BAD_SEQUENCES:
                if sequence in text:
                    errors.invalid(f"{path}.path", text, f"must not contain '{sequence}'")
            for suffix in _BAD_SUFFIXES:
                if text.endswith(suffix):
                    errors.invalid(f"{path}.path", text, f"cannot end with '{suffix}'")
    elif kind == "ImplementationSpecific":
        if text and not text.startswith("/"):
            errors.invalid(f"{path}.path", text, "must be an absolute path")
    else:
        errors.not_supported(f"{path}.pathType", kind, _PATH_TYPES)
    _check_backend(errors, item.get("backend") or {}, f"{path}.backend")


def _check_backend(errors: Errors, backend: Object, path: str) -> None:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        errors.invalid(path, "", "cannot set both resource and service backends")
        return
    if resource is not None:
        for field in ("kind", "name"):
            if not resource.get(field):
                errors.required(f"{path}.resource.{field}")
        return
    service = service or {}
    if not service.get("name"):
        errors.required(f"{path}.service.name")
    else:
        errors.each(f"{path}.service.name", service["name"], dns1035_label(service["name"]))
    port = service.get("port") or {}
    name, number = port.get("name", ""), port.get("number", 0)
    if name and number:
        errors.invalid(path, "", "cannot set both port name & port number")
    elif name:
        errors.each(f"{path}.service.port.name", name, port_name(name))
    elif not number:
        errors.required(path, "port name or number is required")
    else:
        errors.each(f"{path}.service.port.number", number, port_number(number))


def check_ingress_class(errors: Errors, item: Object) -> None:
    """An IngressClass."""
    spec = item.get("spec") or {}
    controller = spec.get("controller", "")
    if len(controller) > 250:
        errors.too_long("spec.controller", 250)
    if not controller:
        errors.required("spec.controller")
    else:
        errors.each("spec.controller", controller, domain_prefixed_path(controller))
    parameters = spec.get("parameters")
    if parameters is None:
        return
    for field in ("kind", "name"):
        if not parameters.get(field):
            errors.required(f"spec.parameters.{field}", f"{field} is required")
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        errors.required("spec.parameters.scope")
    elif scope not in {"Cluster", "Namespace"}:
        errors.not_supported("spec.parameters.scope", scope, ("Cluster", "Namespace"))
    elif scope == "Namespace" and not namespace:
        errors.required("spec.parameters.namespace", "`parameters.scope` is set to 'Namespace'")
    elif scope == "Cluster" and namespace is not None:
        errors.forbidden("spec.parameters.namespace", "`parameters.scope` is set to 'Cluster'")


def check_ingress_class_update(errors: Errors, new: Object, old: Object) -> None:
    """The controller is fixed."""
    now, before = (x.get("spec") or {} for x in (new, old))
    errors.immutable("spec.controller", now.get("controller"), before.get("controller"))
    check_ingress_class(errors, new)


def check_network_policy(errors: Errors, policy: Object) -> None:
    """A NetworkPolicy."""
    spec = policy.get("spec") or {}
    check_label_selector(errors, spec.get("podSelector"), "spec.podSelector")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or []):
            at = f"spec.{direction}[{index}]"
            for number, port in enumerate(rule.get("ports") or []):
                _check_policy_port(errors, port, f"{at}.ports[{number}]")
            for number, peer in enumerate(rule.get(peers) or []):
                _check_peer(errors, peer, f"{at}.{peers}[{number}]")
    types = spec.get("policyTypes") or []
    if len(types) > 2:
        errors.invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
        return
    for index, kind in enumerate(types):
        errors.one_of(f"spec.policyTypes[{index}]", kind, ("Ingress", "Egress"))


def _check_policy_port(errors: Errors, port: Object, path: str) -> None:
    protocol, number, end = port.get("protocol"), port.get("port"), port.get("endPort")
    if protocol is not None:
        errors.one_of(f"{path}.protocol", protocol, PROTOCOLS)
    if number is None:
        if end is not None:
            errors.required(f"{path}.port", "may not be empty when `endPort` is specified")
        return
    check_port(errors, number, f"{path}.port")
    if end is not None:
        if isinstance(number, str):
            errors.invalid(
                f"{path}.endPort", end, "may not be specified when `port` is non-numeric"
            )
            return
        errors.each(f"{path}.endPort", end, port_number(end))
        if end < number:
            errors.invalid(f"{path}.endPort", number, "must be greater than or equal to `port`")


def _check_peer(errors: Errors, peer: Object, path: str) -> None:
    count = 0
    for field in ("podSelector", "namespaceSelector"):
        if peer.get(field) is not None:
            count += 1
            check_label_selector(errors, peer[field], f"{path}.{field}")
    block = peer.get("ipBlock")
    if block is not None:
        if count:
            errors.forbidden(path, "may not specify both ipBlock and another peer")
        _check_block(errors, block, f"{path}.ipBlock")
    elif count == 0:
        errors.required(path, "must specify a peer")


def _check_block(errors: Errors, block: Object, path: str) -> None:
    text = block.get("cidr", "")
    if not text:
        errors.required(f"{path}.cidr")
        return
    problems = cidr(text)
    errors.each(f"{path}.cidr", text, problems)
    outer = parse_network(text)
    if problems or outer is None:
        return
    for index, inner_text in enumerate(block.get("except") or []):
        at = f"{path}.except[{index}]"
        bad = cidr(inner_text)
        errors.each(at, inner_text, bad)
        inner = parse_network(inner_text)
        if bad or inner is None:
            continue
        strict = (
            inner.version == outer.version and inner != outer and inner.prefixlen > outer.prefixlen
        )
        if not strict or not outer.supernet_of(inner):  # type: ignore[arg-type]  # versions are equal
            errors.invalid(at, inner_text, "must be a strict subset of `cidr`")


def check_service_cidr(errors: Errors, item: Object) -> None:
    """A ServiceCIDR."""
    blocks = (item.get("spec") or {}).get("cidrs") or []
    if not blocks:
        errors.required("spec.cidrs", "at least one CIDR required")
        return
    if len(blocks) > 2:
        errors.invalid("spec", {"cidrs": blocks}, "may only hold up to 2 values")
        return
    for index, text in enumerate(blocks):
        _check_strict_cidr(errors, text, f"spec.cidrs[{index}]")
    versions = [network.version for network in map(parse_network, blocks) if network is not None]
    if len(versions) == 2 and versions[0] == versions[1]:
        message = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96"
        errors.invalid("spec", {"cidrs": blocks}, message)


def _check_strict_cidr(errors: Errors, text: str, path: str) -> None:
    problems = cidr(text)
    errors.each(path, text, problems)
    network = parse_network(text)
    if problems or network is None:
        return
    if str(network) != text:
        message = "must not have bits set beyond the prefix length"
        address = text.partition("/")[0]
        if ipaddress.ip_address(address) == network.network_address:
            message = f'must be in canonical form ("{network}")'
        errors.invalid(path, text, message)


def check_service_cidr_update(errors: Errors, new: Object, old: Object) -> None:
    """CIDRs are fixed, but for one stack that becomes two."""
    now, before = ((x.get("spec") or {}).get("cidrs") or [] for x in (new, old))
    if now[: len(before)] != before or (len(now) != len(before) and len(before) != 1):
        errors.invalid("spec.cidrs", now, "field is immutable")
    check_service_cidr(errors, new)


def check_ip_address(errors: Errors, item: Object) -> None:
    """An IPAddress is named by its canonical form and belongs to something."""
    name = item["metadata"].get("name", "")
    errors.each("metadata.name", name, ip_address(name))
    parent = (item.get("spec") or {}).get("parentRef")
    if parent is None:
        errors.required("spec.parentRef")
        return
    for field in ("resource", "name"):
        if not parent.get(field):
            errors.required(f"spec.parentRef.{field}")


def check_endpoint_slice(errors: Errors, item: Object) -> None:
    """An EndpointSlice."""
    kind = item.get("addressType", "")
    if not kind:
        errors.required("addressType")
    else:
        errors.one_of("addressType", kind, ("FQDN", "IPv4", "IPv6"))
    endpoints, ports = item.get("endpoints") or [], item.get("ports") or []
    if len(endpoints) > 1000:
        errors.too_many("endpoints", len(endpoints), 1000)
        return
    for index, endpoint in enumerate(endpoints):
        _check_endpoint(errors, endpoint, kind, f"endpoints[{index}]")
    if len(ports) > 20000:
        errors.too_many("ports", len(ports), 20000)
        return
    names: set[str] = set()
    for index, port in enumerate(ports):
        _check_slice_port(errors, port, f"ports[{index}]", names)


def _check_endpoint(errors: Errors, endpoint: Object, kind: str, path: str) -> None:
    addresses = endpoint.get("addresses") or []
    if not addresses:
        errors.required(f"{path}.addresses", "must contain at least 1 address")
    elif len(addresses) > 100:
        errors.too_many(f"{path}.addresses", len(addresses), 100)
    for index, address in enumerate(addresses):
        _check_slice_address(errors, address, kind, f"{path}.addresses[{index}]")
    if endpoint.get("nodeName") is not None:
        errors.each(
            f"{path}.nodeName", endpoint["nodeName"], dns1123_subdomain(endpoint["nodeName"])
        )
    hostname = endpoint.get("hostname")
    if hostname is not None:
        errors.each(f"{path}.hostname", hostname, dns1123_label(hostname))
    for field in endpoint.get("deprecatedTopology") or {}:
        errors.each(f"{path}.deprecatedTopology", field, qualified_name(field))


def _check_slice_address(errors: Errors, address: str, kind: str, path: str) -> None:
    if kind == "FQDN":
        errors.each(path, address, dns1123_subdomain(address))
        return
    if kind not in {"IPv4", "IPv6"}:
        return
    problems = ip_address(address)
    errors.each(path, address, problems)
    if problems:
        return
    if ip_family(address) != int(kind[-1]):
        errors.invalid(path, address, f"must be an {kind} address")
    errors.each(path, address, non_special_ip(address))


def _check_slice_port(errors: Errors, port: Object, path: str, names: set[str]) -> None:
    name = port.get("name") or ""
    if name:
        errors.each(f"{path}.name", name, dns1123_label(name))
    if name in names:
        errors.duplicate(f"{path}.name", name)
    names.add(name)
    if port.get("protocol") is None:
        errors.required(f"{path}.protocol")
    else:
        errors.one_of(f"{path}.protocol", port["protocol"], PROTOCOLS)
    if port.get("port") is not None:
        errors.each(f"{path}.port", port["port"], port_number(port["port"]))
    if port.get("appProtocol") is not None:
        errors.each(f"{path}.appProtocol", port["appProtocol"], qualified_name(port["appProtocol"]))


def check_endpoint_slice_update(errors: Errors, new: Object, old: Object) -> None:
    """The address type is fixed."""
    check_endpoint_slice(errors, new)
    errors.immutable("addressType", new.get("addressType"), old.get("addressType"))
