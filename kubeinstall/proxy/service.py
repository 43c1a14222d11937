"""What the proxy keeps of a Service: one `ServiceInfo` a service, one `ServicePort` a port.

Follows upstream's `pkg/proxy/serviceport.go` and `serviceinfo`: headless and ExternalName services,
and those labelled `service.kubernetes.io/service-proxy-name`, are not the proxy's.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from kubeinstall.api.types import Object

PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
DEFAULT_AFFINITY_SECONDS = 10800


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a service; `protocol` is nftables' word (tcp, udp, sctp)."""

    name: str
    protocol: str
    port: int
    node_port: int


@dataclass(frozen=True, slots=True)
class ServiceInfo:
    """One service; addresses of both families are in the same tuples. `affinity` is in seconds, 0 is none."""

    namespace: str
    name: str
    ports: tuple[ServicePort, ...]
    cluster_ips: tuple[str, ...]
    external_ips: tuple[str, ...]
    balancer_ips: tuple[str, ...]
    affinity: int
    external_local: bool
    internal_local: bool
    source_ranges: tuple[str, ...]
    health_port: int

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


def parse_service(service: Object) -> ServiceInfo | None:
    """Make a `ServiceInfo`, or None when the service is not the proxy's business."""
    metadata, spec = service["metadata"], service.get("spec", {})
    if PROXY_NAME_LABEL in (metadata.get("labels") or {}):
        return None
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") in (None, "", "None"):
        return None
    cluster_ips = spec.get("clusterIPs") or [spec["clusterIP"]]
    external_local = (
        spec.get("type") in ("NodePort", "LoadBalancer") or bool(spec.get("externalIPs"))
    ) and spec.get("externalTrafficPolicy") == "Local"
    return ServiceInfo(
        namespace=metadata["namespace"],
        name=metadata["name"],
        ports=tuple(
            ServicePort(
                port.get("name", ""),
                port.get("protocol", "TCP").lower(),
                port["port"],
                port.get("nodePort", 0) or 0,
            )
            for port in spec.get("ports") or []
        ),
        cluster_ips=_addresses(cluster_ips),
        external_ips=_addresses(spec.get("externalIPs") or []),
        balancer_ips=_balancer_ips(service),
        affinity=_affinity(spec),
        external_local=external_local,
        internal_local=spec.get("internalTrafficPolicy") == "Local",
        source_ranges=_ranges(spec.get("loadBalancerSourceRanges") or []),
        health_port=spec.get("healthCheckNodePort", 0) if external_local else 0,
    )


def _affinity(spec: Object) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(config.get("timeoutSeconds") or DEFAULT_AFFINITY_SECONDS)


def _balancer_ips(service: Object) -> tuple[str, ...]:
    """Addresses of the load balancer that packets still carry when they arrive (ipMode VIP)."""
    if service.get("spec", {}).get("type") != "LoadBalancer":
        return ()
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return _addresses(
        [entry["ip"] for entry in ingress if entry.get("ip") and entry.get("ipMode") != "Proxy"]
    )


def _addresses(values: list[str]) -> tuple[str, ...]:
    """Canonical addresses in order; what cannot be parsed is left out, as it cannot be matched."""
    result: list[str] = []
    for value in values:
        try:
            result.append(str(ipaddress.ip_address(value)))
        except ValueError:
            continue
    return tuple(dict.fromkeys(result))


def _ranges(values: list[str]) -> tuple[str, ...]:
    result: list[str] = []
    for value in values:
        try:
            result.append(str(ipaddress.ip_network(value.strip(), strict=False)))
        except ValueError:
            continue
    return tuple(result)
