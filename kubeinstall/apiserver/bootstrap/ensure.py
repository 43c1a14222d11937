"""Everything that must exist before an API server is ready, in order of need."""

from __future__ import annotations

import asyncio
import time

import structlog

from kubeinstall.apiserver.bootstrap import cluster
from kubeinstall.apiserver.bootstrap.apiservices import ensure_api_services
from kubeinstall.apiserver.bootstrap.flowcontrol import ensure_flow_control
from kubeinstall.apiserver.bootstrap.policy import ensure_policy
from kubeinstall.apiserver.hooks import ServiceHooks
from kubeinstall.apiserver.interfaces import Services
from kubeinstall.errors import KubeinstallError

_log = structlog.get_logger(__name__)
_KEEP_SECONDS = 10.0
_REPAIR_SECONDS = 180.0  # upstream's port allocator


async def ensure(services: Services) -> None:
    """Create or repair the bootstrap objects; safe to run at each start and by several servers."""
    registry, settings = services.registry, services.settings
    await cluster.ensure_namespaces(registry)
    await ensure_policy(registry)
    await cluster.ensure_priority_classes(registry)
    await ensure_flow_control(registry)
    await ensure_api_services(registry)
    await cluster.ensure_extension_authentication(registry, settings)
    await cluster.ensure_legacy_token_tracking(registry)
    await cluster.ensure_service_cidr(registry, settings)
    await cluster.ensure_kubernetes_service(registry, settings)
    await _repair_allocations(services)


async def keep(services: Services) -> None:
    """Put back what nobody should have deleted, until cancelled: upstream's controllers for the
    system namespaces and for the `kubernetes` service, and its repair of cluster IPs and ports."""
    next_repair = time.monotonic() + _REPAIR_SECONDS
    while True:
        await asyncio.sleep(_KEEP_SECONDS)
        try:
            await cluster.ensure_namespaces(services.registry)
            await cluster.ensure_kubernetes_service(
                services.registry, services.settings, ports=False
            )
            if time.monotonic() >= next_repair:
                next_repair = time.monotonic() + _REPAIR_SECONDS
                await _repair_allocations(services)
        except KubeinstallError as error:
            _log.warning("bootstrap objects not kept", error=str(error))


async def _repair_allocations(services: Services) -> None:
    service_hooks = services.hooks.get(("", "services"))
    if isinstance(service_hooks, ServiceHooks):
        await service_hooks.repair()
