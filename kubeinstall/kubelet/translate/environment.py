"""A container's environment, as upstream's `makeEnvironmentVariables`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from kubeinstall.api.types import Object
from kubeinstall.errors import KubeinstallError, NotFound
from kubeinstall.kubelet.pod import spec
from kubeinstall.kubelet.pod.expand import expand
from kubeinstall.kubelet.translate.fields import resource_field, runtime_field

Fetch = Callable[[str, str, str], Awaitable[Object]]
"""(resource, namespace, name) → object; raises `NotFound`."""


class EnvironmentProblem(KubeinstallError):
    """A reference cannot be resolved; becomes CreateContainerConfigError."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the environment of a pod's containers is made from, besides the pod."""

    fetch: Fetch
    services: Iterable[Object]
    pod_ips: list[str]
    host_ips: list[str]
    allocatable: Mapping[str, str]


async def make_environment(pod: Object, container: Object, around: Surroundings) -> dict[str, str]:
    """Name → value, in order: the container's own, then what envFrom and services add."""
    services = service_variables(
        around.services,
        spec.namespace(pod),
        all_services=pod["spec"].get("enableServiceLinks", True) is not False,
    )
    values: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        values.update(await _from_source(pod, source, around))
    for variable in container.get("env") or []:
        name = variable["name"]
        if variable.get("valueFrom"):
            found = await _from_reference(pod, container, variable["valueFrom"], around)
            if found is None:
                continue
            values[name] = found
        else:
            values[name] = expand(str(variable.get("value") or ""), {**services, **values})
    for name, value in services.items():
        values.setdefault(name, value)
    return values


async def _from_source(pod: Object, source: Object, around: Surroundings) -> dict[str, str]:
    prefix = source.get("prefix") or ""
    for member, resource in (("configMapRef", "v1/configmaps"), ("secretRef", "v1/secrets")):
        reference = source.get(member)
        if not reference:
            continue
        try:
            found = await around.fetch(resource, spec.namespace(pod), reference["name"])
        except NotFound as error:
            if reference.get("optional"):
                return {}
            raise EnvironmentProblem(error.message) from error
        return {prefix + key: value for key, value in texts(resource, found).items()}
    return {}


async def _from_reference(
    pod: Object, container: Object, reference: Object, around: Surroundings
) -> str | None:
    if reference.get("fieldRef"):
        path = reference["fieldRef"]["fieldPath"]
        return runtime_field(pod, path, around.pod_ips, around.host_ips)
    if reference.get("resourceFieldRef"):
        return resource_field(pod, reference["resourceFieldRef"], container, around.allocatable)
    for member, resource, kind in (
        ("configMapKeyRef", "v1/configmaps", "ConfigMap"),
        ("secretKeyRef", "v1/secrets", "Secret"),
    ):
        key = reference.get(member)
        if not key:
            continue
        try:
            found = await around.fetch(resource, spec.namespace(pod), key["name"])
        except NotFound as error:
            if key.get("optional"):
                return None
            raise EnvironmentProblem(error.message) from error
        value = texts(resource, found).get(key["key"])
        if value is None and not key.get("optional"):
            where = f"{spec.namespace(pod)}/{key['name']}"
            raise EnvironmentProblem(f"couldn't find key {key['key']} in {kind} {where}")
        return value
    return ""


def texts(resource: str, found: Object) -> dict[str, str]:
    """The text values of a ConfigMap (`data`) or a Secret (`data`, decoded)."""
    data = found.get("data") or {}
    if resource == "v1/configmaps":
        return dict(data)
    import base64

    return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}


def service_variables(
    services: Iterable[Object], namespace: str, *, all_services: bool
) -> dict[str, str]:
    """Docker-link style variables of the namespace's services, and always of the API's own."""
    chosen: dict[str, Object] = {}
    for service in services:
        address = service["spec"].get("clusterIP")
        if not address or address == "None":
            continue
        name, space = service["metadata"]["name"], service["metadata"].get("namespace")
        if space == "default" and name == "kubernetes":
            chosen.setdefault(name, service)
        elif space == namespace and all_services:
            chosen[name] = service
    values: dict[str, str] = {}
    for name in sorted(chosen):
        values.update(_link(name, chosen[name]))
    return values


def _link(name: str, service: Object) -> dict[str, str]:
    prefix = name.replace("-", "_").upper()
    address = service["spec"]["clusterIP"]
    ports = service["spec"].get("ports") or []
    values = {f"{prefix}_SERVICE_HOST": address}
    if not ports:
        return values
    values[f"{prefix}_SERVICE_PORT"] = str(ports[0]["port"])
    for port in ports:
        if port.get("name"):
            suffix = port["name"].replace("-", "_").upper()
            values[f"{prefix}_SERVICE_PORT_{suffix}"] = str(port["port"])
    host = f"[{address}]" if ":" in address else address
    for index, port in enumerate(ports):
        protocol = str(port.get("protocol") or "TCP")
        url = f"{protocol.lower()}://{host}:{port['port']}"
        if index == 0:
            values[f"{prefix}_PORT"] = url
        base = f"{prefix}_PORT_{port['port']}_{protocol.upper()}"
        values[base] = url
        values[f"{base}_PROTO"] = protocol.lower()
        values[f"{base}_PORT"] = str(port["port"])
        values[f"{base}_ADDR"] = address
    return values
