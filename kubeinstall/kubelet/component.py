"""The kubelet: wires its parts together and runs them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from kubeinstall import KUBERNETES_VERSION
from kubeinstall._wire.cri.v1 import api_pb2 as api
from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient, EventRecorder, Informer
from kubeinstall.errors import SettingsError
from kubeinstall.kubelet.allocation import Allocations
from kubeinstall.kubelet.bootstrap import ensure_credentials
from kubeinstall.kubelet.bootstrap_rotation import keep_fresh, serving_rotation
from kubeinstall.kubelet.cgroups.manager import PodCgroups
from kubeinstall.kubelet.config import (
    KubeletConfiguration,
    KubeletSettings,
    document_of,
    load_configuration,
)
from kubeinstall.kubelet.cri import CRI, CRIError
from kubeinstall.kubelet.eviction import Eviction
from kubeinstall.kubelet.garbage import Garbage
from kubeinstall.kubelet.images import Images
from kubeinstall.kubelet.logs.rotate import LogRotation
from kubeinstall.kubelet.machine import allocatable, capacity, read_machine, swap_on
from kubeinstall.kubelet.manager import PodManager
from kubeinstall.kubelet.node.addresses import node_ips, node_name
from kubeinstall.kubelet.node.lease import Heartbeat
from kubeinstall.kubelet.node.registration import NodeFacts, NodeReporter
from kubeinstall.kubelet.objects import Objects
from kubeinstall.kubelet.parts import Parts
from kubeinstall.kubelet.paths import Paths
from kubeinstall.kubelet.probes.manager import ProbeManager
from kubeinstall.kubelet.runtime import Runtime
from kubeinstall.kubelet.server.app import Server
from kubeinstall.kubelet.server.auth import Authenticator, Authorizer
from kubeinstall.kubelet.server.tls import server_context
from kubeinstall.kubelet.sources.mirrors import Mirrors
from kubeinstall.kubelet.sources.static import StaticPods
from kubeinstall.kubelet.status.manager import StatusManager
from kubeinstall.kubelet.tokens import Tokens
from kubeinstall.kubelet.volumes.image import ImageVolumes
from kubeinstall.kubelet.volumes.manager import Volumes
from kubeinstall.runtime import Component, ComponentContext
from kubeinstall.runtime.endpoints import serve_endpoints
from kubeinstall.runtime.logs import get_logger

PODS, SERVICES = "v1/pods", "v1/services"
USER_AGENT = f"kubelet/{KUBERNETES_VERSION} (linux) kubeinstall"
HOUSEKEEPING_SECONDS = 60.0
RUNTIME_SILENCE_SECONDS = 180.0
KEEP_SECONDS = 5.0
ANNOUNCE_SECONDS = 10.0
RUNTIME_CONFIG_SECONDS = 2.0


class Kubelet(Component[KubeletSettings]):
    """Runs the pods of one node."""

    name: ClassVar[str] = "kubelet"
    settings_type = KubeletSettings

    def __init__(self, settings: KubeletSettings, context: ComponentContext) -> None:
        super().__init__(settings, context)
        self.config = load_configuration(settings.config)
        self.node_name = node_name(settings.hostname_override)
        self.node: Object | None = None
        self.manager: PodManager | None = None
        self._parts: Parts | None = None

    async def run(self) -> None:
        """Until cancelled; containers keep running after."""
        settings = self.settings
        await ensure_credentials(
            settings.kubeconfig,
            settings.bootstrap_kubeconfig,
            settings.cert_dir,
            self.node_name,
            USER_AGENT,
        )
        if self.config.fail_swap_on and swap_on():
            raise SettingsError(
                "running with swap on is not supported, please disable swap or set failSwapOn to false in "
                f"{settings.config or 'a KubeletConfiguration'}"
            )
        endpoint = (
            self.config.container_runtime_endpoint or self.settings.container_runtime_endpoint
        )
        cri = CRI(endpoint, timeout=self.config.runtime_request_timeout)
        client = ApiClient.from_kubeconfig(self.settings.kubeconfig, USER_AGENT)
        try:
            async with client:
                await self._run(client, cri)
        finally:
            await cri.close()

    def writes(self) -> tuple[Path, ...]:
        """Bootstrapping makes the kubeconfig that a worker's other components use too."""
        return (self.settings.kubeconfig,) if self.settings.bootstrap_kubeconfig else ()

    async def _run(self, client: ApiClient, cri: CRI) -> None:
        driver = await cgroup_driver(cri, self.config.cgroup_driver)
        parts, reporter, heartbeat = self._assemble(client, cri, driver)
        manager = PodManager(parts)
        self.manager, self._parts = manager, parts
        pods = Informer(client, PODS, field_selector=f"spec.nodeName={self.node_name}")
        services = Informer(client, SERVICES)
        parts.services = services.list
        pods.add_handler(manager.observed)
        cpu = Quantity.parse(parts.allocatable["cpu"]).milli
        memory = Quantity.parse(parts.allocatable["memory"]).value
        await parts.cgroups.start(cpu, memory)
        async with asyncio.TaskGroup() as group:
            # Status and events first: everything below reports through them.
            group.create_task(parts.recorder.run(), name="events")
            group.create_task(parts.status.run(), name="statuses")
            group.create_task(reporter.run(), name="node")
            group.create_task(heartbeat.run(), name="lease")
            if self.config.rotate_certificates:
                group.create_task(
                    self._keep(lambda: self._rotate(client)), name="certificate rotation"
                )
            group.create_task(parts.runtime.run(), name="runtime")
            group.create_task(services.run(), name="services")
            # What runs must be known before any pod is looked at: nothing may be started twice.
            await parts.runtime.listed.wait()
            group.create_task(_after(services, pods), name="pods")
            for source in self._static_sources(client, manager, pods):
                group.create_task(self._keep(source), name="static pods")
            garbage = Garbage(manager)
            rotation = LogRotation(
                cri,
                parts.runtime,
                self.config.container_log_max_size,
                self.config.container_log_max_files,
            )
            group.create_task(self._keep(rotation.run), name="log rotation")
            group.create_task(self._keep(Eviction(manager, garbage).run), name="eviction")
            async with self._served(client, manager):
                group.create_task(self._announce(reporter), name="announce")
                await pods.wait_synced()
                manager.sources_ready.set()
                try:
                    await self._keep(lambda: self._housekeeping(manager, garbage))
                finally:
                    await manager.close()
                    await parts.probes.close()
                    await parts.objects.close()

    async def _announce(self, reporter: NodeReporter) -> None:
        """Ready when the node is, but not much later than serving: a pod network may come as pods."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANNOUNCE_SECONDS):
                await reporter.ready.wait()
        self.context.ready()

    async def _keep(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Run `work` again when it fails: what looks after things now and then must not end the kubelet."""
        while True:
            try:
                await work()
            except Exception:
                self.log.exception("Task failed, it is started again")
            await asyncio.sleep(KEEP_SECONDS)

    async def _rotate(self, client: ApiClient) -> None:
        settings = self.settings
        await keep_fresh(client, settings.kubeconfig, settings.cert_dir, self.node_name)

    def _static_sources(
        self, client: ApiClient, manager: PodManager, pods: Informer
    ) -> list[Callable[[], Coroutine[None, None, None]]]:
        """What feeds static pods to the manager, and shows them in the API."""
        folder = self.settings.pod_manifest_path or (
            Path(self.config.static_pod_path) if self.config.static_pod_path else None
        )
        if folder is None:
            return []
        static = StaticPods(folder, self.node_name, manager, self.config.file_check_frequency)
        mirrors = Mirrors(client, manager, static, lambda: self.node)
        static.pods_changed = mirrors.wake
        pods.add_handler(lambda _old, _new: mirrors.wake())
        static.read()  # before any clean-up, which would take its pods for orphans
        return [static.run, mirrors.run]

    @asynccontextmanager
    async def _served(self, client: ApiClient, manager: PodManager) -> AsyncIterator[None]:
        """The HTTPS server, and health on loopback."""
        config, parts = self.config, manager.parts

        def runtime_listed() -> None:
            age = asyncio.get_running_loop().time() - parts.runtime.last_listing
            if age > RUNTIME_SILENCE_SECONDS:
                raise TimeoutError(f"PLEG was last seen active {age:.0f}s ago")

        self.context.health.add_check("syncloop", runtime_listed, live=True)
        self.context.health.add_check("log", lambda: None, live=True)
        server = Server(
            manager,
            Authenticator(client, config.authentication),
            Authorizer(client, self.node_name, config.authorization),
            configz=document_of(config),
            registry=self.context.metrics,
            debugging=config.enable_debugging_handlers,
        )
        tls = server_context(config, self.settings.cert_dir, self.node_name, parts.node_ips)
        port = config.healthz_port or -1
        async with (
            server.serve(config.address, config.port, tls),
            serve_endpoints(self.context, config.healthz_bind_address, port),
            self._serving_rotated(client, tls),
        ):
            yield

    @asynccontextmanager
    async def _serving_rotated(self, client: ApiClient, tls: ssl.SSLContext) -> AsyncIterator[None]:
        """With `serverTLSBootstrap`, the certificate shown is one that the cluster signed."""
        if not self.config.server_tls_bootstrap or self.config.tls_cert_file:
            yield
            return
        ips = self._parts.node_ips if self._parts else []
        rotation = serving_rotation(client, tls, self.settings.cert_dir, self.node_name, ips)
        task = asyncio.create_task(self._keep(rotation.run), name="serving certificate rotation")
        try:
            yield
        finally:
            task.cancel()

    def _assemble(
        self, client: ApiClient, cri: CRI, driver: str
    ) -> tuple[Parts, NodeReporter, Heartbeat]:
        settings, config = self.settings, self.config
        machine = read_machine()
        paths = Paths(settings.root_dir, Path(config.pod_logs_dir))
        paths.pods.mkdir(parents=True, exist_ok=True, mode=0o750)
        ips = node_ips(settings.node_ip, self.node_name)
        total = capacity(machine, settings.root_dir, config.max_pods)
        usable = allocatable(
            total, [config.system_reserved, config.kube_reserved], config.eviction_hard
        )
        recorder = EventRecorder(client, "kubelet", self.node_name)
        objects = Objects(client, self._content_changed)
        runtime = Runtime(cri, self._runtime_changed)
        images = Images(cri, recorder, objects)
        image_volumes = ImageVolumes(images, cri.endpoint)
        parts = Parts(
            node_name=self.node_name,
            node_ips=ips,
            config=config,
            paths=paths,
            client=client,
            recorder=recorder,
            cri=cri,
            runtime=runtime,
            images=images,
            objects=objects,
            volumes=Volumes(client, paths, objects, Tokens(client), usable, image_volumes),
            cgroups=PodCgroups(
                driver=driver,
                root=settings.cgroup_root or config.cgroup_root,
                pids_limit=config.pod_pids_limit,
                enforce_quota=config.cpu_cfs_quota,
            ),
            probes=ProbeManager(cri, recorder, runtime, self._probed),
            status=StatusManager(client, self._mirror_of),
            machine=machine,
            allocatable=usable,
            allocations=Allocations(paths.root / "allocated_pods_state"),
            services=list,
            node_labels=self._node_labels,
        )
        heartbeat = Heartbeat(client, self.node_name, config.node_lease_duration_seconds)
        facts = NodeFacts(
            name=self.node_name,
            ips=ips,
            machine=machine,
            capacity=total,
            allocatable=usable,
            labels=_labels(self.node_name, machine.architecture, settings.node_labels),
            taints=_taints(settings.register_with_taints, config),
            provider_id=settings.provider_id,
            port=config.port,
        )

        def on_network(ready: bool, message: str) -> None:
            parts.network_ready, parts.network_message = ready, message

        def on_node(node: Object) -> None:
            self.node = heartbeat.node = node

        reporter = NodeReporter(
            client,
            cri,
            facts,
            register=settings.register_node and config.register_node,
            check_seconds=config.node_status_update_frequency,
            report_seconds=config.node_status_report_frequency,
            pressure=lambda: parts.pressure,
            on_network=on_network,
            on_node=on_node,
        )
        return parts, reporter, heartbeat

    async def _housekeeping(self, manager: PodManager, garbage: Garbage) -> None:
        while True:
            manager.clean_up()
            with contextlib.suppress(CRIError, OSError):
                await garbage.collect()
                await manager.remove_leftovers()
                await manager.parts.cgroups.share(manager.active())
            await asyncio.sleep(HOUSEKEEPING_SECONDS)

    # The parts tell the manager, which is made after them.

    def _runtime_changed(self, uid: str) -> None:
        if self.manager is not None:
            self.manager.changed(uid)

    def _probed(self, uid: str) -> None:
        if self.manager is not None:
            self.manager.probed(uid)

    def _content_changed(self, uid: str) -> None:
        if self.manager is not None:
            self.manager.content_changed(uid)

    def _mirror_of(self, pod: Object) -> Object | None:
        return self.manager.mirror_of(pod) if self.manager else None

    def _node_labels(self) -> dict[str, str]:
        return ((self.node or {}).get("metadata") or {}).get("labels") or {}


async def cgroup_driver(cri: CRI, configured: str) -> str:
    """The runtime's own driver where it tells (containerd 2.0), else the configured one.

    systemd's needs systemd: where there is none, cgroupfs is what the runtime must be using.
    """
    try:
        answer = await cri.call(
            "RuntimeConfig", api.RuntimeConfigRequest(), timeout=RUNTIME_CONFIG_SECONDS
        )
        return "systemd" if answer.linux.cgroup_driver == api.SYSTEMD else "cgroupfs"
    except CRIError:
        if configured == "systemd" and not has_systemd():
            get_logger("kubelet").warning("There is no systemd here, pods get cgroupfs cgroups")
            return "cgroupfs"
        return configured


def has_systemd() -> bool:
    """Whether systemd is this host's init."""
    return Path("/run/systemd/system").is_dir()


async def _after(services: Informer, pods: Informer) -> None:
    """Pods only once services are known: their environment shows them."""
    await services.wait_synced()
    await pods.run()


def _labels(name: str, architecture: str, given: dict[str, str]) -> dict[str, str]:
    return {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": architecture,
        **given,
    }


def _taints(flags: list[str], config: KubeletConfiguration) -> list[Object]:
    if not flags:
        return list(config.register_with_taints)
    made = []
    for flag in flags:
        head, _, effect = flag.rpartition(":")
        key, _, value = head.partition("=")
        taint: Object = {"key": key, "effect": effect}
        if value:
            taint["value"] = value
        made.append(taint)
    return made
