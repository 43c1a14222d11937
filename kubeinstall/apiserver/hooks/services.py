"""What happens around writes of a Service: cluster IPs, node ports, health-check ports."""

from __future__ import annotations

import contextlib

import orjson
import structlog

from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.hooks import agreement, traits
from kubeinstall.apiserver.hooks.cluster_ips import AllocationError, ClusterIPs
from kubeinstall.apiserver.hooks.ip_families import set_families
from kubeinstall.apiserver.hooks.ip_repair import IPRepair
from kubeinstall.apiserver.hooks.node_ports import NodePorts
from kubeinstall.apiserver.hooks.port_repair import PortRepair
from kubeinstall.apiserver.registry import Registry
from kubeinstall.errors import FieldError, InternalError, Invalid, KubeinstallError, NotFound

_log = structlog.get_logger(__name__)
_DRY_RUN_PORT = 32768


class ServiceHooks:
    """Allocation around Service writes; see `interfaces.Hooks`."""

    def __init__(self, registry: Registry, ips: ClusterIPs, ports: NodePorts) -> None:
        self._registry = registry
        self._ips = ips
        self._ports = ports
        self._repairs = (IPRepair(registry, ips), PortRepair(registry, ports))

    async def before_create(self, registry: Registry, obj: Object, dry_run: bool) -> None:
        """Default families, then allocate what the service needs. Raises `Invalid`."""
        if not agreement.check(obj):
            return
        set_families(obj, self._ips.families)
        await self._allocate(obj, None, dry_run)

    async def before_update(
        self, registry: Registry, new: Object, old: Object, dry_run: bool
    ) -> None:
        """Allocate what is newly needed; the strategy has kept what is held. Raises `Invalid`."""
        if not agreement.check(new, old):
            return
        set_families(new, self._ips.families, old)
        await self._allocate(new, old, dry_run)

    async def after_update(self, registry: Registry, new: Object, old: Object) -> None:
        """Give back what the service no longer has."""
        addresses = set(traits.cluster_ips(old)) - set(traits.cluster_ips(new))
        await self._give_back(old, addresses, traits.node_ports(old) - traits.node_ports(new))

    async def after_delete(self, registry: Registry, obj: Object) -> None:
        """Give everything back."""
        await self._give_back(obj, set(traits.cluster_ips(obj)), traits.node_ports(obj))

    async def rollback_create(self, registry: Registry, obj: Object) -> None:
        """Give back what `before_create` took."""
        await self._undo(obj, None)

    async def rollback_update(self, registry: Registry, new: Object, old: Object) -> None:
        """Give back what `before_update` took."""
        await self._undo(new, old)

    async def repair(self) -> None:
        """Make allocations and services agree: at start, and now and then."""
        for one in self._repairs:
            await one.run()

    async def _undo(self, new: Object, old: Object | None) -> None:
        addresses = set(traits.cluster_ips(new))
        ports = traits.node_ports(new)
        if old is not None:
            addresses -= set(traits.cluster_ips(old))
            ports -= traits.node_ports(old)
        if addresses or ports:
            stored = await self._stored(new)
            # A write that broke off may have been carried out all the same: then they are in use.
            addresses -= set(traits.cluster_ips(stored))
            ports -= traits.node_ports(stored)
        await self._give_back(new, addresses, ports)

    async def _stored(self, service: Object) -> Object:
        """The service as the datastore has it; an empty one where there is none, or another of its name."""
        metadata = service["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        try:
            found = await self._registry.get_live(kind("services"), name, namespace)
        except NotFound:
            return {}
        except KubeinstallError as error:
            # Better to leave both to `repair` than to give away what is in use.
            _log.warning("allocations not given back", service=name, error=str(error))
            return service
        return found if found["metadata"].get("uid") == metadata.get("uid") else {}

    async def _give_back(self, service: Object, addresses: set[str], ports: set[int]) -> None:
        """What cannot be given back is found by `repair`: the write that caused this has happened."""
        try:
            for address in sorted(addresses):
                await self._ips.release(service, address)
            await self._ports.release(service, ports)
        except KubeinstallError as error:
            _log.warning(
                "allocations not given back",
                service=traits.key(service),
                addresses=sorted(addresses),
                ports=sorted(ports),
                error=str(error),
            )

    async def _allocate(self, new: Object, old: Object | None, dry_run: bool) -> None:
        taken: list[str] = []
        reserved: set[int] = set()
        if traits.needs_node_port(new) or (new["spec"].get("clusterIPs") and old is None):
            await self._see_other_servers(new)
        try:
            await self._allocate_ips(new, old, taken, dry_run)
            await self._allocate_ports(new, old, reserved, dry_run)
        except BaseException:
            if not dry_run:
                await self._give_back(new, set(taken), reserved)
            raise

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

    async def _allocate_ports(
        self, new: Object, old: Object | None, reserved: set[int], dry_run: bool
    ) -> None:
        held = traits.node_ports(old) if old is not None else set()
        if traits.needs_node_port(new):
            await self._allocate_node_ports(new, held, reserved, dry_run)
        if traits.needs_health_check_port(new):
            await self._allocate_health_port(new, held, reserved, dry_run)

    async def _allocate_node_ports(
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
                        await self._ports.claim(new, wanted, dry_run)
                    except AllocationError as error:
                        raise _invalid_port(new, position, wanted, error) from error
                    reserved.add(wanted)
            else:
                wanted = next((p for p, _ in same if (p, protocol) not in same), 0)
                if not wanted:
                    wanted = await self._free_port(new, "nodePort", reserved, dry_run)
                port["nodePort"] = wanted
            same.append((wanted, protocol))

    async def _free_port(
        self, service: Object, what: str, reserved: set[int], dry_run: bool
    ) -> int:
        try:
            # Upstream does not search on a dry run: it answers with numbers outside the range.
            if dry_run:
                port = max(reserved, default=_DRY_RUN_PORT) + 1
            else:
                port = await self._ports.allocate(service)
        except AllocationError as error:
            raise InternalError(f"failed to allocate a {what}: {error}") from error
        reserved.add(port)
        return port

    async def _allocate_health_port(
        self, new: Object, held: set[int], reserved: set[int], dry_run: bool
    ) -> None:
        wanted = int(new["spec"].get("healthCheckNodePort") or 0)
        if not wanted:
            new["spec"]["healthCheckNodePort"] = await self._free_port(
                new, "HealthCheck NodePort", reserved, dry_run
            )
        elif wanted not in held:
            try:
                await self._ports.claim(new, wanted, dry_run)
            except AllocationError as error:
                raise InternalError(
                    f"failed to allocate requested HealthCheck NodePort {wanted}: {error}"
                ) from error
            reserved.add(wanted)


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
