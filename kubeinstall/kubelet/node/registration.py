"""Making the Node object and keeping its status current."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient
from kubeinstall.errors import AlreadyExists, NotFound, StatusError
from kubeinstall.kubelet.cri import CRI, CRIError
from kubeinstall.kubelet.machine import Machine
from kubeinstall.kubelet.node import status as parts
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")

NODES = "v1/nodes"
_RETRY_FIRST, _RETRY_CAP = 0.1, 7.0


@dataclass(slots=True)
class NodeFacts:
    """What the Node says that does not come from the runtime."""

    name: str
    ips: list[str]
    machine: Machine
    capacity: dict[str, str]
    allocatable: dict[str, str]
    labels: dict[str, str]
    taints: list[Object]
    provider_id: str
    port: int
    extra_conditions: set[str] = field(default_factory=set)


class NodeReporter:
    """Registers, then reports on change and at the latest every `report_seconds`."""

    def __init__(
        self,
        client: ApiClient,
        cri: CRI,
        facts: NodeFacts,
        *,
        register: bool,
        check_seconds: float,
        report_seconds: float,
        pressure: Callable[[], set[str]],
        on_network: Callable[[bool, str], None],
        on_node: Callable[[Object], None],
    ) -> None:
        self._client = client
        self._cri = cri
        self._facts = facts
        self._register = register
        self._check_seconds = check_seconds
        self._report_seconds = report_seconds
        self._pressure = pressure
        self._on_network = on_network
        self._on_node = on_node
        self._node: Object | None = None
        self._reported: Object = {}
        self._reported_at = 0.0
        self._wake = asyncio.Event()
        self._version: Any = None
        self.ready = asyncio.Event()

    def wake(self) -> None:
        """Something that the status shows changed."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        pause = _RETRY_FIRST
        while True:
            self._wake.clear()
            try:
                if self._node is None:
                    await self._ensure_node()
                await self._report()
                pause = _RETRY_FIRST
                wait = self._check_seconds if self.ready.is_set() else 0.2
            except StatusError as error:
                log.debug("Node not reported", error=str(error))
                if isinstance(error, NotFound):
                    self._node = None
                wait, pause = pause, min(pause * 2, _RETRY_CAP)
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _ensure_node(self) -> None:
        facts = self._facts
        if not self._register:
            self._node = await self._client.get(NODES, facts.name)
            self._on_node(self._node)
            return
        wanted: Object = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": facts.name,
                "labels": facts.labels,
                "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
            },
            "spec": {},
            "status": await self._status([]),
        }
        if facts.taints:
            wanted["spec"]["taints"] = facts.taints
        if facts.provider_id:
            wanted["spec"]["providerID"] = facts.provider_id
        try:
            self._node = await self._client.create(NODES, wanted)
            log.info("Node registered", node=facts.name)
        except AlreadyExists:
            self._node = await self._client.get(NODES, facts.name)
            await self._correct_labels()
        self._on_node(self._node)

    async def _correct_labels(self) -> None:
        """A Node from before keeps its labels, but what this host is must be true."""
        assert self._node is not None  # noqa: S101 - set by the caller
        have = self._node["metadata"].get("labels") or {}
        ours = {
            key: value
            for key, value in self._facts.labels.items()
            if key.startswith(("kubernetes.io/", "beta.kubernetes.io/", "node.kubernetes.io/"))
            and have.get(key) != value
        }
        if ours:
            patch = {"metadata": {"labels": ours}}
            self._node = await self._client.patch(NODES, self._facts.name, patch, kind="strategic")

    async def _report(self) -> None:
        assert self._node is not None  # noqa: S101 - the caller made sure
        previous = (self._node.get("status") or {}).get("conditions") or []
        status = await self._status(previous)
        due = time.monotonic() - self._reported_at >= self._report_seconds
        if not due and _substance(status) == self._reported:
            return
        patch = {"status": _changed(self._node.get("status") or {}, status)}
        self._node = await self._client.patch(
            NODES, self._facts.name, patch, kind="strategic", subresource="status"
        )
        self._reported, self._reported_at = _substance(status), time.monotonic()
        self._on_node(self._node)
        ready = next(c for c in status["conditions"] if c["type"] == "Ready")
        if ready["status"] == "True" and not self.ready.is_set():
            log.info("Node ready", node=self._facts.name)
            self.ready.set()

    async def _status(self, previous: list[Object]) -> Object:
        facts = self._facts
        problems: list[str] = []
        made: Object = {
            "capacity": facts.capacity,
            "allocatable": facts.allocatable,
            "addresses": parts.addresses(facts.name, facts.ips),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": facts.port}},
            "images": [],
        }
        try:
            if self._version is None:
                self._version = await self._cri.version()
            runtime = await self._cri.status()
            made["images"] = parts.images(await self._cri.list_images())
            handlers = parts.runtime_handlers(runtime)
            if handlers:
                made["runtimeHandlers"] = handlers
            supports = runtime.features.supplemental_groups_policy
            made["features"] = {"supplementalGroupsPolicy": bool(supports)}
            problems = self._runtime_problems(runtime)
        except CRIError as error:
            self._version = None
            problems.append(f"container runtime is down: {error}")
        if self._version is not None:
            made["nodeInfo"] = parts.node_info(facts.machine, self._version)
        made["conditions"] = parts.conditions(previous, self._pressure(), problems)
        return made

    def _runtime_problems(self, runtime: Any) -> list[str]:
        problems = []
        network_ok, network_text = False, "network state unknown"
        for condition in runtime.status.conditions:
            text = (
                f"{condition.type}={'true' if condition.status else 'false'} "
                f"reason:{condition.reason} message:{condition.message}"
            )
            if condition.type == "NetworkReady":
                network_ok, network_text = condition.status, text
                if not condition.status:
                    problems.append(f"container runtime network not ready: {text}")
            elif condition.type == "RuntimeReady" and not condition.status:
                problems.append(f"container runtime not ready: {text}")
        self._on_network(network_ok, network_text)
        return problems


def _substance(status: Object) -> Object:
    """A status without what merely ticks."""
    conditions = [
        {k: v for k, v in c.items() if k not in ("lastHeartbeatTime", "lastTransitionTime")}
        for c in status["conditions"]
    ]
    return {**status, "conditions": conditions}


def _changed(old: Object, new: Object) -> Object:
    """The members that differ; conditions are merged by type on the server."""
    changes = {name: value for name, value in new.items() if old.get(name) != value}
    if "addresses" in changes:
        changes["addresses"] = [*changes["addresses"], {"$patch": "replace"}]
    return changes
