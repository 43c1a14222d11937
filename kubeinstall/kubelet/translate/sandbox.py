"""The `PodSandboxConfig` of a pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubeinstall._wire.cri.v1 import api_pb2 as api
from kubeinstall.api.types import Object
from kubeinstall.kubelet import names
from kubeinstall.kubelet.pod import resources, spec
from kubeinstall.kubelet.translate.dns import Resolver
from kubeinstall.kubelet.translate.security import sandbox_security

_PROTOCOLS = {"TCP": api.TCP, "UDP": api.UDP, "SCTP": api.SCTP}


@dataclass(frozen=True, slots=True)
class SandboxInputs:
    """What a sandbox is made from, besides the pod."""

    attempt: int
    log_folder: Path
    resolver: Resolver
    domain: str
    cgroup_parent: str
    seccomp_root: Path


def sandbox_config(pod: Object, given: SandboxInputs) -> Any:
    """The configuration; the runtime keeps its labels and annotations, which a restarted kubelet reads."""
    config = api.PodSandboxConfig(
        metadata=api.PodSandboxMetadata(
            name=spec.name(pod),
            namespace=spec.namespace(pod),
            uid=spec.uid(pod),
            attempt=given.attempt,
        ),
        log_directory=str(given.log_folder),
        dns_config=api.DNSConfig(
            servers=given.resolver.servers,
            searches=given.resolver.searches,
            options=given.resolver.options,
        ),
        labels={**(pod["metadata"].get("labels") or {}), **pod_labels(pod)},
        annotations=dict(spec.pod_annotations(pod)),
    )
    if not spec.host_network(pod):
        host, subdomain = spec.fqdn(pod, given.domain)
        as_fqdn = pod["spec"].get("setHostnameAsFQDN") and subdomain
        config.hostname = f"{host}.{subdomain}" if as_fqdn else host
        config.port_mappings.extend(_port_mappings(pod))
    config.linux.cgroup_parent = given.cgroup_parent
    config.linux.security_context.CopyFrom(sandbox_security(pod, seccomp_root=given.seccomp_root))
    for sysctl in (pod["spec"].get("securityContext") or {}).get("sysctls") or []:
        config.linux.sysctls[sysctl["name"].replace("/", ".")] = str(sysctl["value"])
    _resources(config.linux, pod)
    return config


def pod_labels(pod: Object) -> Mapping[str, str]:
    """The labels by which containers and sandboxes are found again."""
    return {
        names.POD_NAME: spec.name(pod),
        names.POD_NAMESPACE: spec.namespace(pod),
        names.POD_UID: spec.uid(pod),
    }


def _port_mappings(pod: Object) -> list[Any]:
    made = []
    for container in (*spec.init_containers(pod), *spec.containers(pod)):
        for port in container.get("ports") or []:
            if port.get("hostPort"):
                made.append(  # noqa: PERF401 - a comprehension over two levels reads worse
                    api.PortMapping(
                        protocol=_PROTOCOLS[port.get("protocol") or "TCP"],
                        container_port=int(port["containerPort"]),
                        host_port=int(port["hostPort"]),
                        host_ip=port.get("hostIP") or "",
                    )
                )
    return made


def _resources(linux: Any, pod: Object) -> None:
    """Tell the runtime the pod's size (VM based runtimes make their machine by it)."""
    limits = resources.pod_cgroup_limits(pod)
    linux.resources.cpu_shares = limits.shares
    linux.resources.cpu_period = resources.QUOTA_PERIOD
    if limits.quota:
        linux.resources.cpu_quota = limits.quota
    if limits.memory:
        linux.resources.memory_limit_in_bytes = limits.memory
