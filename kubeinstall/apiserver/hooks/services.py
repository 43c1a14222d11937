"""What happens around writes of a Service: cluster IPs, node ports, health-check ports."""

from __future__ import annotations

import asyncio
import contextlib

import orjson
import structlog

from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.hooks import agreement, carry_over, traits
from kubeinstall.apiserver.hooks.cluster_ips import AllocationError, ClusterIPs
from kubeinstall.apiserver.hooks.ip_families import set_families
from kubeinstall.apiserver.hooks.node_ports import NodePorts
from kubeinstall.apiserver.registry import Registry
from kubeinstall.errors import FieldError, InternalError, Invalid, KubeinstallError, NotFound

_log = structlog.get_logger(__name__)
_MAX_RELEASES = 1024
_DRY_RUN_PORT = 32768


class ServiceHooks:
    """Allocation around Service writes; see `interfaces.Hooks`."""

    def __init__(self, registry: Registry, ips: ClusterIPs, ports: NodePorts) -> None:
        self._registry = registry
        self._ips = ips
        self._ports = ports
        self._lock = asyncio.Lock()
        self._releases: set[asyncio.Task[None]] = set()
        registry.observe(kind("services"), self._service_changed)

    async def before_create(self, registry: Registry, obj: Object, dry_run: bool) -> None:
        """Default families, then allocate what the service needs. Raises `Invalid`."""
        carry_over.normalize_on_create(obj)
        if not agreement.check(obj):
            return
        set_families(obj, self._ips.families)
        async with self._lock:
            await self._allocate(obj, None, dry_run)

    async def before_update(
        self, registry: Registry, new: Object, old: Object, dry_run: bool
    ) -> None:
        """Keep what is held, allocate what is newly needed. Raises `Invalid`."""
        carry_over.normalize_on_update(new, old)
        carry_over.keep_allocated(new, old)
        carry_over.drop_meaningless(new, old)
        if not agreement.check(new, old):
            return
        set_families(new, self._ips.families, old)
        async with self._lock:
            await self._allocate(new, old, dry_run)

    async def after_delete(self, registry: Registry, obj: Object) -> None:
        """Give everything back."""
        for address in traits.cluster_ips(obj):
            await self._ips.release(obj, address)

    async def rollback_create(self, registry: Registry, obj: Object) -> None:
        """Give back what `before_create` took."""
        await self._undo(obj, None)

    async def rollback_update(self, registry: Registry, new: Object, old: Object) -> None:
        """Give back what `before_update` took."""
        await self._undo(new, old)

    async def repair(self) -> None:
        """Make allocations and services agree; once at start."""
        await self._ips.repair()

    async def _undo(self, new: Object, old: Object | None) -> None:
        held = set(traits.cluster_ips(old)) if old is not None else set()
        for address in traits.cluster_ips(new):
            if address not in held:
                await self._ips.release(new, address)
        ports = traits.node_ports(old) if old is not None else set()
        self._ports.release(traits.node_ports(new) - ports)

    async def _allocate(self, new: Object, old: Object | None, dry_run: bool) -> None:
        taken: list[str] = []
        reserved: set[int] = set()
        if traits.needs_node_port(new) or (new["spec"].get("clusterIPs") and old is None):
            await self._see_other_servers(new)
        try:
            await self._allocate_ips(new, old, taken, dry_run)
            self._allocate_ports(new, old, reserved, dry_run)
        except BaseException:
            self._ports.release(reserved)
            if not dry_run:
                for address in taken:
                    await self._ips.release(new, address)
            raise
        if dry_run:
            self._ports.release(reserved)

    async def _see_other_servers(self, service: Object) -> None:
        """What was acknowledged by another API server counts, though it may not be in this one's cache yet."""
        namespace = service["metadata"].get("namespace", "")
        with contextlib.suppress(NotFound):
            await self._registry.get_live(kind("namespaces"), namespace)

    async def _allocate_ips(
        self, new: Object, old: Object | None, taken: list[str], dry_run: bool
    ) -> None:
        if not traits.needs_cluster_ip(new) or traits.is_headless(new):
            return
        spec = new["spec"]
        held = traits.cluster_ips(old) if old is not None else []
        if held and spec.get("clusterIPs") and spec["clusterIPs"][0] not in held:
            return  # a changed primary address: validation refuses it, nothing to allocate
        ips = list(spec.get("clusterIPs") or ())
        for position, family in enumerate(spec.get("ipFamilies") or ()):
            wanted = ips[position] if position < len(ips) else ""
            if wanted in held and wanted:
                continue
            try:
                if wanted:
                    await self._ips.claim(new, wanted, dry_run)
                else:
                    wanted = await self._ips.allocate(new, family, dry_run)
                    ips.append(wanted)
            except AllocationError as error:
                raise _invalid_ips(new, ips, wanted, error) from error
            except ValueError:
                return  # not an address: validation says so
            taken.append(wanted)
        if ips:
            spec["clusterIPs"] = ips
            spec["clusterIP"] = ips[0]

    def _allocate_ports(
        self, new: Object, old: Object | None, reserved: set[int], dry_run: bool
    ) -> None:
        held = traits.node_ports(old) if old is not None else set()
        if traits.needs_node_port(new):
            self._allocate_node_ports(new, held, reserved, dry_run)
        if traits.needs_health_check_port(new):
            self._allocate_health_port(new, held, reserved, dry_run)

    def _allocate_node_ports(
        self, new: Object, held: set[int], reserved: set[int], dry_run: bool
    ) -> None:
        """Ports of one number and several protocols share a node port, as upstream arranges."""
        shared: dict[int, list[tuple[int, str]]] = {}
        ports = new["spec"].get("ports") or ()
        for position, port in enumerate(ports):
            wanted, protocol = int(port.get("nodePort") or 0), port.get("protocol", "TCP")
            same = shared.setdefault(int(port.get("port", 0)), [])
            if wanted:
                if wanted not in held and wanted not in reserved:
                    try:
                        self._ports.claim(wanted)
                    except AllocationError as error:
                        raise _invalid_port(new, position, wanted, error) from error
                    reserved.add(wanted)
            else:
                given = next(
                    (p for p, _ in same if (p, protocol) not in same), 0
                ) or self._free_port("nodePort", reserved, dry_run)
                port["nodePort"] = wanted = given
            same.append((wanted, protocol))

    def _free_port(self, what: str, reserved: set[int], dry_run: bool) -> int:
        try:
            # Upstream does not search on a dry run: it answers with numbers outside the range.
            port = max(reserved, default=_DRY_RUN_PORT) + 1 if dry_run else self._ports.allocate()
        except AllocationError as error:
            raise InternalError(f"failed to allocate a {what}: {error}") from error
        reserved.add(port)
        return port

    def _allocate_health_port(
        self, new: Object, held: set[int], reserved: set[int], dry_run: bool
    ) -> None:
        wanted = int(new["spec"].get("healthCheckNodePort") or 0)
        if not wanted:
            new["spec"]["healthCheckNodePort"] = self._free_port(
                "HealthCheck NodePort", reserved, dry_run
            )
        elif wanted not in held:
            try:
                self._ports.claim(wanted)
            except AllocationError as error:
                raise InternalError(
                    f"failed to allocate requested HealthCheck NodePort {wanted}: {error}"
                ) from error
            reserved.add(wanted)

    def _service_changed(self, old: Object | None, new: Object | None) -> None:
        """An update that gave up addresses (a change to ExternalName) releases them now."""
        if old is None or new is None:
            return
        gone = set(traits.cluster_ips(old)) - set(traits.cluster_ips(new))
        if gone and len(self._releases) < _MAX_RELEASES:
            task = asyncio.get_running_loop().create_task(self._release(old, gone))
            self._releases.add(task)
            task.add_done_callback(self._releases.discard)

    async def _release(self, service: Object, addresses: set[str]) -> None:
        for address in addresses:
            try:
                await self._ips.release(service, address)
            except KubeinstallError as error:
                # `repair` frees it at the next start.
                _log.warning("cluster IP not released", address=address, error=str(error))


def _invalid_ips(service: Object, ips: list[str], wanted: str, error: AllocationError) -> Invalid:
    shown = orjson.dumps(ips).decode() if ips else "null"
    what = (
        f"failed to allocate IP {wanted}: {error}"
        if wanted
        else f"failed to allocate a serviceIP: {error}"
    )
    return Invalid(
        "",
        "Service",
        service["metadata"].get("name", ""),
        [FieldError("FieldValueInvalid", "spec.clusterIPs", f"Invalid value: {shown}: {what}")],
    )


def _invalid_port(service: Object, position: int, port: int, error: AllocationError) -> Invalid:
    return Invalid(
        "",
        "Service",
        service["metadata"].get("name", ""),
        [
            FieldError(
                "FieldValueInvalid",
                f"spec.ports[{position}].nodePort",
                f"Invalid value: {port}: {error}",
            )
        ],
    )
