"""Warnings that a write earns without being refused (`Warning` headers), as upstream words them."""

from __future__ import annotations

from collections.abc import Iterator

from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object

_DEPRECATED_NODE_LABELS = {
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}
_TEMPLATES = {
    "pods": (("spec",), ("metadata",)),
    "podtemplates": (("template", "spec"), ("template", "metadata")),
    "cronjobs": (
        ("spec", "jobTemplate", "spec", "template", "spec"),
        ("spec", "jobTemplate", "spec", "template", "metadata"),
    ),
}
_WORKLOADS = frozenset(
    {"deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "replicationcontrollers"}
)


def warnings(resource: Resource, obj: Object) -> list[str]:
    """Warnings for the object that was just written."""
    found: list[str] = []
    where = _TEMPLATES.get(resource.name)
    if where is None and resource.name in _WORKLOADS:
        where = (("spec", "template", "spec"), ("spec", "template", "metadata"))
    if where is not None:
        spec = _at(obj, where[0])
        found += _pod_warnings(spec, ".".join(where[0]))
    if (resource.group, resource.name) == ("", "services"):
        found += _service_warnings(obj)
    if (resource.group, resource.name) == ("", "endpoints"):
        found.append("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
    return found


def _at(obj: Object, path: tuple[str, ...]) -> Object:
    for name in path:
        obj = obj.get(name) or {}
    return obj


def _pod_warnings(spec: Object, path: str) -> Iterator[str]:
    for key in spec.get("nodeSelector") or {}:
        if key in _DEPRECATED_NODE_LABELS:
            new = _DEPRECATED_NODE_LABELS[key]
            yield f'{path}.nodeSelector[{key}]: deprecated since v1.14; use "{new}" instead'
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or []):
            yield from _container_warnings(container, f"{path}.{field}[{index}]")
    seen: set[str] = set()
    for index, alias in enumerate(spec.get("imagePullSecrets") or []):
        name = alias.get("name", "")
        if not name:
            yield f"{path}.imagePullSecrets[{index}].name: invalid empty name {_quote(name)}"
    for index, host in enumerate(spec.get("hostAliases") or []):
        ip = host.get("ip", "")
        if ip in seen:
            yield f"{path}.hostAliases[{index}].ip: duplicate ip {_quote(ip)}"
        seen.add(ip)


def _container_warnings(container: Object, path: str) -> Iterator[str]:
    names: set[str] = set()
    for index, variable in enumerate(container.get("env") or []):
        name = variable.get("name", "")
        if name in names:
            yield (
                f"{path}.env[{index}]: hides previous definition of {_quote(name)}, "
                "which may be dropped when using apply"
            )
        names.add(name)
    ports: set[tuple[object, object]] = set()
    for index, port in enumerate(container.get("ports") or []):
        key = (port.get("containerPort"), port.get("protocol", "TCP"))
        if key in ports:
            yield f"{path}.ports[{index}]: duplicate port definition with {path}.ports[{_first(container, key)}]"
        ports.add(key)


def _first(container: Object, key: tuple[object, object]) -> int:
    for index, port in enumerate(container.get("ports") or []):
        if (port.get("containerPort"), port.get("protocol", "TCP")) == key:
            return index
    return 0


def _service_warnings(obj: Object) -> Iterator[str]:
    spec = obj.get("spec") or {}
    if spec.get("externalIPs") and spec.get("type") == "ExternalName":
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if spec.get("clusterIP") == "None" and spec.get("loadBalancerIP"):
        yield "spec.loadBalancerIP is ignored for headless services"
    if spec.get("type") != "LoadBalancer" and spec.get("loadBalancerIP"):
        yield 'spec.loadBalancerIP is ignored when spec.type is not "LoadBalancer"'


def _quote(text: str) -> str:
    return f'"{text}"'
