"""Everything that must exist before an API server is ready, in order of need."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time

import structlog

from kubeinstall.apiserver.bootstrap import cluster
from kubeinstall.apiserver.bootstrap.apiservices import ensure_api_services
from kubeinstall.apiserver.bootstrap.flowcontrol import ensure_flow_control
from kubeinstall.apiserver.bootstrap.policy import ensure_policy
from kubeinstall.apiserver.config import ApiServerSettings
from kubeinstall.apiserver.hooks import ServiceHooks
from kubeinstall.apiserver.interfaces import Services
from kubeinstall.errors import KubeinstallError

_log = structlog.get_logger(__name__)
_KEEP_SECONDS = 10.0
_REPAIR_SECONDS = 600.0
_ANY = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound


async def ensure(services: Services, port: int | None = None) -> None:
    """Create or repair the bootstrap objects; safe to run at each start and by several servers.

    `port` is where this server really listens, when that is not the configured secure port.
    """
    registry, settings = services.registry, services.settings
    await cluster.ensure_namespaces(registry)
    await ensure_policy(registry)
    await cluster.ensure_priority_classes(registry)
    await ensure_flow_control(registry)
    await ensure_api_services(registry)
    await cluster.ensure_extension_authentication(registry, settings)
    await cluster.ensure_legacy_token_tracking(registry)
    await cluster.ensure_service_cidr(registry, settings)
    await _ensure_kubernetes(services, port)
    await _repair_allocations(services)


async def keep(services: Services, port: int | None = None) -> None:
    """Put back what nobody should have deleted, until cancelled: upstream's controllers for the
    system namespaces and for the `kubernetes` service, and its repair of cluster IPs."""
    next_repair = time.monotonic() + _REPAIR_SECONDS
    while True:
        await asyncio.sleep(_KEEP_SECONDS)
        try:
            await cluster.ensure_namespaces(services.registry)
            await _ensure_kubernetes(services, port)
            if time.monotonic() >= next_repair:
                next_repair = time.monotonic() + _REPAIR_SECONDS
                await _repair_allocations(services)
        except KubeinstallError as error:
            _log.warning("bootstrap objects not kept", error=str(error))


async def _repair_allocations(services: Services) -> None:
    service_hooks = services.hooks.get(("", "services"))
    if isinstance(service_hooks, ServiceHooks):
        await service_hooks.repair()


async def _ensure_kubernetes(services: Services, port: int | None) -> None:
    registry, settings = services.registry, services.settings
    await cluster.ensure_kubernetes_service(registry, settings)
    if settings.endpoint_reconciler_type != "none":
        await cluster.ensure_kubernetes_endpoints(
            registry,
            advertised_address(settings),
            port or settings.secure_port,
            alone=settings.storage_url.startswith("sqlite:") and not settings.etcd_servers,
        )


def advertised_address(settings: ApiServerSettings) -> str:
    """The address that other members of the cluster reach this server at.

    Without a setting it is the source address of the default route, as upstream chooses it; on a
    host without one, loopback.
    """
    for candidate in (settings.advertise_address, settings.bind_address):
        if candidate not in _ANY:
            return str(ipaddress.ip_address(candidate))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing: it only makes the kernel choose a route.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
