"""Containers of every sort: regular, init, ephemeral."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.formats import dns1123_label, port_name, port_number
from kubeinstall.api.validation.pod.env import check_env, check_env_from
from kubeinstall.api.validation.pod.probes import check_lifecycle, check_probes
from kubeinstall.api.validation.pod.resources import check_requirements
from kubeinstall.api.validation.pod.security import check_container_security, check_descending_path

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")
_EPHEMERAL_FORBIDDEN = (
    "ports",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "resizePolicy",
)


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What containers are checked against."""

    volumes: Mapping[str, Object] = field(default_factory=dict)
    claims: Collection[str] = ()
    grace: int | None = None
    host_network: bool = False
    host_users: bool = True


def check_containers(errors: Errors, spec: Object, path: str, facts: PodFacts) -> None:
    """All containers of a pod spec."""
    containers = spec.get("containers") or []
    at = f"{path}.containers"
    if not containers:
        errors.required(at)
    names: set[str] = set()
    for index, container in enumerate(containers):
        _check_regular(errors, container, f"{at}[{index}]", names, facts)
    _check_host_ports(errors, containers, at)
    at = f"{path}.initContainers"
    for index, container in enumerate(spec.get("initContainers") or []):
        _check_init(errors, container, f"{at}[{index}]", names, facts)
    _check_host_ports(errors, spec.get("initContainers") or [], at)
    at = f"{path}.ephemeralContainers"
    for index, container in enumerate(spec.get("ephemeralContainers") or []):
        _check_ephemeral(errors, container, f"{at}[{index}]", names, facts)


def _check_regular(
    errors: Errors, container: Object, path: str, names: set[str], facts: PodFacts
) -> None:
    check_common(errors, container, path, facts)
    _check_unique(errors, container, path, names)
    check_lifecycle(errors, container.get("lifecycle"), f"{path}.lifecycle", facts.grace)
    check_probes(errors, container, path)
    policy = container.get("restartPolicy")
    if policy is not None and policy not in {"Always", "OnFailure", "Never"}:
        errors.not_supported(f"{path}.restartPolicy", policy, ("Always", "Never", "OnFailure"))


def _check_unique(errors: Errors, container: Object, path: str, names: set[str]) -> None:
    name = container.get("name", "")
    if name and name in names:
        errors.duplicate(f"{path}.name", name)
    names.add(name)


def _check_init(
    errors: Errors, container: Object, path: str, names: set[str], facts: PodFacts
) -> None:
    check_common(errors, container, path, facts)
    _check_unique(errors, container, path, names)
    policy = container.get("restartPolicy")
    if policy == "Always":
        check_lifecycle(errors, container.get("lifecycle"), f"{path}.lifecycle", facts.grace)
        check_probes(errors, container, path)
        return
    if policy is not None and policy not in {"OnFailure", "Never"}:
        errors.not_supported(f"{path}.restartPolicy", policy, ("Always", "Never", "OnFailure"))
    for name in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name) is not None:
            message = "may not be set for init containers without restartPolicy=Always"
            errors.forbidden(f"{path}.{name}", message)


def _check_ephemeral(
    errors: Errors, container: Object, path: str, names: set[str], facts: PodFacts
) -> None:
    if not container.get("name"):
        errors.required(f"{path}.name")
        return
    check_common(errors, container, path, facts)
    _check_unique(errors, container, path, names)
    for name in _EPHEMERAL_FORBIDDEN:
        if container.get(name):
            errors.forbidden(f"{path}.{name}", "cannot be set for an Ephemeral Container")
    if container.get("resources"):
        errors.forbidden(f"{path}.resources", "cannot be set for an Ephemeral Container")
    for index, mount in enumerate(container.get("volumeMounts") or []):
        for name in ("subPath", "subPathExpr"):
            if mount.get(name):
                message = "cannot be set for an Ephemeral Container"
                errors.forbidden(f"{path}.volumeMounts[{index}].{name}", message)


def check_common(errors: Errors, container: Object, path: str, facts: PodFacts) -> None:
    """What every sort of container has."""
    name, image = container.get("name", ""), container.get("image", "")
    if not name:
        errors.required(f"{path}.name")
    else:
        errors.each(f"{path}.name", name, dns1123_label(name))
    if not image:
        errors.required(f"{path}.image")
    elif image != image.strip():
        errors.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    policy = container.get("terminationMessagePolicy", "")
    if not policy:
        errors.required(f"{path}.terminationMessagePolicy")
    else:
        errors.one_of(f"{path}.terminationMessagePolicy", policy, ("File", "FallbackToLogsOnError"))
    _check_ports(errors, container.get("ports") or [], f"{path}.ports", facts)
    check_env(errors, container.get("env") or [], f"{path}.env")
    check_env_from(errors, container.get("envFrom") or [], f"{path}.envFrom")
    _check_mounts(errors, container, f"{path}.volumeMounts", facts)
    _check_devices(errors, container, f"{path}.volumeDevices", facts)
    _check_pull_policy(errors, container.get("imagePullPolicy", ""), f"{path}.imagePullPolicy")
    check_requirements(errors, container.get("resources") or {}, f"{path}.resources", facts.claims)
    _check_resize(errors, container.get("resizePolicy") or [], f"{path}.resizePolicy")
    context = container.get("securityContext")
    check_container_security(
        errors, context, f"{path}.securityContext", host_users=facts.host_users
    )


def _check_pull_policy(errors: Errors, policy: str, path: str) -> None:
    if not policy:
        errors.required(path)
    else:
        errors.one_of(path, policy, PULL_POLICIES)


def _check_ports(errors: Errors, ports: list[Object], path: str, facts: PodFacts) -> None:
    names: set[str] = set()
    for index, port in enumerate(ports):
        at, name = f"{path}[{index}]", port.get("name", "")
        if name:
            problems = port_name(name)
            errors.each(f"{at}.name", name, problems)
            if not problems and name in names:
                errors.duplicate(f"{at}.name", name)
            names.add(name)
        number, host = port.get("containerPort", 0), port.get("hostPort", 0)
        if number == 0:
            errors.required(f"{at}.containerPort")
        else:
            errors.each(f"{at}.containerPort", number, port_number(number))
        if host:
            errors.each(f"{at}.hostPort", host, port_number(host))
            if facts.host_network and host != number:
                message = "must match `containerPort` when `hostNetwork` is true"
                errors.invalid(f"{at}.hostPort" if host else at, host, message)
        protocol = port.get("protocol", "")
        if not protocol:
            errors.required(f"{at}.protocol")
        else:
            errors.one_of(f"{at}.protocol", protocol, PROTOCOLS)


def _check_host_ports(errors: Errors, containers: list[Object], path: str) -> None:
    taken: set[str] = set()
    for index, container in enumerate(containers):
        for number, port in enumerate(container.get("ports") or []):
            host = port.get("hostPort", 0)
            if not host:
                continue
            text = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{host}"
            if text in taken:
                errors.duplicate(f"{path}[{index}].ports[{number}].hostPort", text)
            taken.add(text)


def _check_mounts(errors: Errors, container: Object, path: str, facts: PodFacts) -> None:
    paths: set[str] = set()
    devices = {device.get("devicePath") for device in container.get("volumeDevices") or []}
    for index, mount in enumerate(container.get("volumeMounts") or []):
        at, name, where = f"{path}[{index}]", mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            errors.required(f"{at}.name")
        elif name not in facts.volumes:
            errors.not_found(f"{at}.name", name)
        if not where:
            errors.required(f"{at}.mountPath")
        elif where in paths:
            errors.invalid(f"{at}.mountPath", where, "must be unique")
        if where in devices:
            errors.invalid(
                f"{at}.mountPath", where, "must not already exist as a path in volumeDevices"
            )
        paths.add(where)
        _check_sub_path(errors, mount, at)
        _check_propagation(errors, mount, container, f"{at}.mountPropagation")
        _check_recursive(errors, mount, f"{at}.recursiveReadOnly")


def _check_sub_path(errors: Errors, mount: Object, path: str) -> None:
    if mount.get("subPath"):
        check_descending_path(errors, mount["subPath"], f"{path}.subPath")
    if mount.get("subPathExpr"):
        if mount.get("subPath"):
            message = "subPathExpr and subPath are mutually exclusive"
            errors.invalid(f"{path}.subPathExpr", mount["subPathExpr"], message)
        check_descending_path(errors, mount["subPathExpr"], f"{path}.subPathExpr")


def _check_propagation(errors: Errors, mount: Object, container: Object, path: str) -> None:
    mode = mount.get("mountPropagation")
    if mode is None:
        return
    errors.one_of(path, mode, ("Bidirectional", "HostToContainer", "None"))
    privileged = (container.get("securityContext") or {}).get("privileged")
    if mode == "Bidirectional" and not privileged:
        errors.forbidden(
            path, "Bidirectional mount propagation is available only to privileged containers"
        )


def _check_recursive(errors: Errors, mount: Object, path: str) -> None:
    mode = mount.get("recursiveReadOnly")
    if mode is None or mode == "Disabled":
        return
    if mode not in {"Enabled", "IfPossible"}:
        errors.not_supported(path, mode, ("Disabled", "Enabled", "IfPossible"))
        return
    if not mount.get("readOnly"):
        errors.forbidden(path, "may only be specified when readOnly is true")
    if mount.get("mountPropagation") not in {None, "None"}:
        message = "may only be specified when mountPropagation is None or not specified"
        errors.forbidden(path, message)


def _check_devices(errors: Errors, container: Object, path: str, facts: PodFacts) -> None:
    names: set[str] = set()
    paths: set[str] = set()
    for index, device in enumerate(container.get("volumeDevices") or []):
        at, name, where = f"{path}[{index}]", device.get("name", ""), device.get("devicePath", "")
        if not name:
            errors.required(f"{at}.name")
        elif name in names:
            errors.invalid(f"{at}.name", name, "must be unique")
        volume = facts.volumes.get(name)
        if name and volume is None:
            errors.not_found(f"{at}.name", name)
        elif volume is not None and not {"persistentVolumeClaim", "ephemeral"} & set(volume):
            message = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.invalid(f"{at}.name", name, message)
        if not where:
            errors.required(f"{at}.devicePath")
        elif where in paths:
            errors.invalid(f"{at}.devicePath", where, "must be unique")
        names.add(name)
        paths.add(where)


def _check_resize(errors: Errors, policies: list[Object], path: str) -> None:
    seen: set[str] = set()
    for policy in policies:
        name = policy.get("resourceName", "")
        if name in seen:
            errors.duplicate(path, name)
        seen.add(name)
        if name not in {"cpu", "memory"}:
            errors.not_supported(path, name, ("cpu", "memory"))
        value = policy.get("restartPolicy", "")
        if not value:
            errors.required(path)
        else:
            errors.one_of(path, value, ("NotRequired", "RestartContainer"))
