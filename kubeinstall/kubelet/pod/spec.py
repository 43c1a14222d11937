"""What a pod's spec and metadata say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from kubeinstall.api.types import Object
from kubeinstall.kubelet import names

DEFAULT_GRACE = 30
"""Seconds: upstream's default terminationGracePeriodSeconds."""


def uid(pod: Object) -> str:
    """The uid that the runtime's labels carry: a mirror pod's is its static pod's."""
    return str(pod["metadata"]["uid"])


def name(pod: Object) -> str:
    """metadata.name."""
    return str(pod["metadata"]["name"])


def namespace(pod: Object) -> str:
    """metadata.namespace."""
    return str(pod["metadata"].get("namespace") or "default")


def full_name(pod: Object) -> str:
    """`name_namespace`: how static pods and their mirrors are matched."""
    return f"{name(pod)}_{namespace(pod)}"


def title(pod: Object) -> str:
    """`name_namespace(uid)`: how upstream's messages name a pod."""
    return f"{name(pod)}_{namespace(pod)}({uid(pod)})"


def pod_annotations(pod: Object) -> dict[str, str]:
    """metadata.annotations."""
    return pod["metadata"].get("annotations") or {}


def is_static(pod: Object) -> bool:
    """Whether it comes from a manifest of this host."""
    source = pod_annotations(pod).get(names.CONFIG_SOURCE, "api")
    return source != "api" and names.CONFIG_MIRROR not in pod_annotations(pod)


def is_mirror(pod: Object) -> bool:
    """Whether it is the API's picture of a static pod."""
    return names.CONFIG_MIRROR in pod_annotations(pod)


def is_critical(pod: Object) -> bool:
    """Static, or of a system priority: never evicted for resources, preempts in admission."""
    return is_static(pod) or int(pod["spec"].get("priority") or 0) >= 2_000_000_000


def host_network(pod: Object) -> bool:
    """spec.hostNetwork."""
    return bool(pod["spec"].get("hostNetwork"))


def containers(pod: Object) -> list[Object]:
    """spec.containers."""
    return pod["spec"].get("containers") or []


def init_containers(pod: Object) -> list[Object]:
    """spec.initContainers."""
    return pod["spec"].get("initContainers") or []


def ephemeral_containers(pod: Object) -> list[Object]:
    """spec.ephemeralContainers."""
    return pod["spec"].get("ephemeralContainers") or []


def all_containers(pod: Object) -> Iterator[Object]:
    """Init, main and ephemeral containers."""
    yield from init_containers(pod)
    yield from containers(pod)
    yield from ephemeral_containers(pod)


def is_sidecar(container: Object) -> bool:
    """Whether an init container keeps running beside the main ones (restartPolicy: Always)."""
    return container.get("restartPolicy") == "Always"


def field_path(pod: Object, container: Object) -> str:
    """`spec.containers{name}`: what an event about a container says it is about."""
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for item in pod["spec"].get(kind) or []:
            if item.get("name") == container.get("name"):
                return f"spec.{kind}{{{item['name']}}}"
    return ""


def container_hash(container: Object) -> str:
    """A hash over what cannot change without a restart: name and image, in hexadecimal.

    FNV-1a over 32 bits, as upstream's; a running container with another hash is made again.
    """
    text = json.dumps({"image": container.get("image", ""), "name": container["name"]})
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return format(value, "x")


def restart_policy(pod: Object, container: Object | None = None) -> str:
    """Always, OnFailure or Never; a container's own comes before the pod's."""
    if container is not None and container.get("restartPolicy"):
        return str(container["restartPolicy"])
    return str(pod["spec"].get("restartPolicy") or "Always")


def restarts_after(pod: Object, container: Object, exit_code: int) -> bool:
    """Whether a container that ended with `exit_code` is to be started again.

    A container's restartPolicyRules come first; the first that matches decides.
    """
    for rule in container.get("restartPolicyRules") or []:
        codes = rule.get("exitCodes") or {}
        values = codes.get("values") or []
        matches = (exit_code in values) == (codes.get("operator", "In") == "In")
        if matches and rule.get("action") in ("Restart", "RestartAllContainers"):
            return True
    policy = restart_policy(pod, container)
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def deleted(pod: Object) -> bool:
    """Whether metadata.deletionTimestamp is set."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def grace_seconds(pod: Object) -> int:
    """Seconds a pod's containers get to stop: of its deletion, else of its spec; at least 1 unless 0 is asked."""
    meta, spec = pod["metadata"], pod["spec"]
    if meta.get("deletionGracePeriodSeconds") is not None:
        return int(meta["deletionGracePeriodSeconds"])
    if spec.get("terminationGracePeriodSeconds") is not None:
        return int(spec["terminationGracePeriodSeconds"])
    return DEFAULT_GRACE


def is_finished(pod: Object) -> bool:
    """Whether the API's status already says Succeeded or Failed."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def log_folder_name(pod: Object) -> str:
    """`namespace_name_uid`, the folder under /var/log/pods."""
    return f"{namespace(pod)}_{name(pod)}_{uid(pod)}"


def content_hash(pod: Object) -> str:
    """A hash of a manifest, which a static pod's uid and its mirror's annotation are made of."""
    text = json.dumps(pod, sort_keys=True, separators=(",", ":"))
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def hostname(pod: Object) -> str:
    """The host name inside: spec.hostnameOverride, spec.hostname, else the pod's name cut to 63 characters."""
    override = pod["spec"].get("hostnameOverride")
    if override:
        return str(override)
    text = str(pod["spec"].get("hostname") or name(pod))
    return text[:63].rstrip("-._") if len(text) > 63 else text


def fqdn(pod: Object, domain: str) -> tuple[str, str]:
    """(host name, domain): the domain is empty without spec.subdomain."""
    host = hostname(pod)
    subdomain = pod["spec"].get("subdomain")
    if pod["spec"].get("hostnameOverride") or not subdomain or not domain:
        return host, ""
    return host, f"{subdomain}.{namespace(pod)}.svc.{domain}"


def port_by_name(container: Object, value: Any) -> int:
    """The number of a port given by number or by name. Raises ValueError."""
    if isinstance(value, int):
        return value
    for port in container.get("ports") or []:
        if port.get("name") == value:
            return int(port["containerPort"])
    if str(value).isdigit():
        return int(value)
    raise ValueError(f"couldn't find port: {value!r}")
