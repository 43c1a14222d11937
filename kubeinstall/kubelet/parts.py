"""What the pod workers work with: one object that carries the kubelet's parts to where they are needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient, EventRecorder
from kubeinstall.kubelet.allocation import Allocations
from kubeinstall.kubelet.backoff import Backoffs
from kubeinstall.kubelet.cgroups.manager import PodCgroups
from kubeinstall.kubelet.config import KubeletConfiguration
from kubeinstall.kubelet.cri import CRI
from kubeinstall.kubelet.images import Images
from kubeinstall.kubelet.machine import Machine
from kubeinstall.kubelet.objects import Objects
from kubeinstall.kubelet.paths import Paths
from kubeinstall.kubelet.probes.manager import ProbeManager
from kubeinstall.kubelet.runtime import Runtime
from kubeinstall.kubelet.status.manager import StatusManager
from kubeinstall.kubelet.volumes.manager import Volumes

SANDBOXES_AT_ONCE = 10
"""Sandboxes and containers being made at the same time: containerd and the CNI plugins do no better with more."""


@dataclass(slots=True)
class Parts:
    """Everything a worker uses."""

    node_name: str
    node_ips: list[str]
    config: KubeletConfiguration
    paths: Paths
    client: ApiClient
    recorder: EventRecorder
    cri: CRI
    runtime: Runtime
    images: Images
    objects: Objects
    volumes: Volumes
    cgroups: PodCgroups
    probes: ProbeManager
    status: StatusManager
    machine: Machine
    allocatable: dict[str, str]
    allocations: Allocations
    services: Callable[[], Iterable[Object]]
    node_labels: Callable[[], dict[str, str]]
    network_ready: bool = True
    network_message: str = ""
    pressure: set[str] = field(default_factory=set)
    crash_backoffs: Backoffs = field(default_factory=Backoffs)
    creating: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(SANDBOXES_AT_ONCE)
    )
