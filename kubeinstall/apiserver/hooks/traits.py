"""What a Service needs, by its type: questions that allocation asks again and again."""

from __future__ import annotations

from kubeinstall.api.types import Object

NONE = "None"
_ADDRESSED = ("ClusterIP", "NodePort", "LoadBalancer")


def service_type(service: Object) -> str:
    """The type, defaulted."""
    return (service.get("spec") or {}).get("type") or "ClusterIP"


def needs_cluster_ip(service: Object) -> bool:
    """Whether services of this type have a cluster IP (headless ones too: theirs is None)."""
    return service_type(service) in _ADDRESSED


def needs_node_port(service: Object) -> bool:
    """Whether ports of the service get node ports."""
    kind = service_type(service)
    if kind == "NodePort":
        return True
    allocate = service["spec"].get("allocateLoadBalancerNodePorts")
    return kind == "LoadBalancer" and allocate is not False


def needs_health_check_port(service: Object) -> bool:
    """Whether the service has a port to ask a node about its local endpoints."""
    return (
        service_type(service) == "LoadBalancer"
        and service["spec"].get("externalTrafficPolicy") == "Local"
    )


def cluster_ips(service: Object) -> list[str]:
    """The real cluster IPs: empty for headless services and external names."""
    spec = service.get("spec") or {}
    ips = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return [ip for ip in ips if ip and ip != NONE]


def is_headless(service: Object) -> bool:
    """Whether the service asks for no cluster IP."""
    spec = service.get("spec") or {}
    return spec.get("clusterIP") == NONE or NONE in (spec.get("clusterIPs") or ())


def node_ports(service: Object) -> set[int]:
    """All node ports that the service holds, the health check's too."""
    spec = service.get("spec") or {}
    held = {int(port["nodePort"]) for port in spec.get("ports") or () if port.get("nodePort")}
    if spec.get("healthCheckNodePort"):
        held.add(int(spec["healthCheckNodePort"]))
    return held


def key(service: Object) -> str:
    """`namespace/name`."""
    metadata = service["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
