"""Leader election on a Lease, with upstream's timings and field semantics."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.client.backoff import Backoff
from kubeinstall.client.client import ApiClient
from kubeinstall.errors import KubeinstallError, NotFound, StatusError

log = structlog.get_logger("leader")

LEASES = "coordination.k8s.io/v1/leases"


class LeadershipLost(KubeinstallError):
    """The lease could not be renewed in time; what ran under it has been cancelled."""


def default_identity() -> str:
    """`<hostname>_<uuid>`, as upstream's."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


class LeaderElector:
    """Holds a Lease while something runs.

    A holder renews every `retry_period` seconds and gives up after `renew_deadline` without
    success; others take the lease when they saw no change of it for its duration, by their own
    clock, so that clocks of hosts need not agree.
    """

    def __init__(
        self,
        client: ApiClient,
        name: str,
        identity: str = "",
        namespace: str = "kube-system",
        *,
        lease_duration: float = 15.0,
        renew_deadline: float = 10.0,
        retry_period: float = 2.0,
    ) -> None:
        self._client = client
        self._name = name
        self._namespace = namespace
        self.identity = identity or default_identity()
        self._duration = lease_duration
        self._deadline = renew_deadline
        self._period = retry_period
        self._observed: tuple[Any, ...] = ()
        self._observed_at = 0.0
        self._leading = False
        self._failed = False

    def leading(self) -> bool:
        """True while this process holds the lease."""
        return self._leading

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lease, then run `lead` under it.

        Returns when `lead` does; LeadershipLost when the lease is; releases it when cancelled.
        """
        # A server that cannot answer yet (both start together) is asked again soon; a rival's lease is not.
        backoff = Backoff(base=0.1, cap=self._period)
        while not await self._try():
            if self._failed:
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            # Jitter of 1.2 as upstream's, so that contenders do not march in step.
            await asyncio.sleep(self._period * (1 + 1.2 * random.random()))  # noqa: S311
        self._leading = True
        log.info("became leader", lease=self._name, identity=self.identity)
        work = asyncio.ensure_future(lead())
        renewal = asyncio.create_task(self._renew(), name=f"renew lease {self._name}")
        try:
            await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise LeadershipLost(f"lease {self._namespace}/{self._name} lost")
            work.result()
        finally:
            self._leading = False
            held = not (renewal.done() and not renewal.cancelled())
            renewal.cancel()
            work.cancel()
            await asyncio.gather(work, renewal, return_exceptions=True)
            if held:
                await asyncio.shield(self._release())

    async def _renew(self) -> None:
        """Returns when the lease could not be renewed in time."""
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while True:
            await asyncio.sleep(self._period)
            try:
                async with asyncio.timeout(max(0.1, renewed + self._deadline - loop.time())):
                    if await self._try():
                        renewed = loop.time()
                        continue
            except TimeoutError:
                pass
            if loop.time() - renewed >= self._deadline:
                log.error("lost the lease", lease=self._name)
                return

    async def _try(self) -> bool:
        """Take or renew the lease once; False when another holds it or the server fails."""
        self._failed = False
        try:
            return await self._acquire()
        except StatusError as error:
            self._failed = True
            log.debug("lease not taken", lease=self._name, error=str(error))
            return False

    async def _acquire(self) -> bool:
        try:
            lease = await self._client.get(LEASES, self._name, self._namespace)
        except NotFound:
            await self._client.create(LEASES, self._new())
            return True
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        self._observe(spec)
        if holder and holder != self.identity and not self._expired(spec):
            return False
        now = times.now_micro()
        taken = holder != self.identity
        lease["spec"] = {
            **spec,
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(self._duration),
            "renewTime": now,
        }
        if taken:
            lease["spec"]["acquireTime"] = now
            lease["spec"]["leaseTransitions"] = (spec.get("leaseTransitions") or 0) + 1
        await self._client.update(LEASES, lease)
        return True

    def _new(self) -> Object:
        now = times.now_micro()
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": int(self._duration),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }

    def _observe(self, spec: Object) -> None:
        seen = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
        if seen != self._observed:
            self._observed = seen
            self._observed_at = asyncio.get_running_loop().time()

    def _expired(self, spec: Object) -> bool:
        loop_now = asyncio.get_running_loop().time()
        duration = spec.get("leaseDurationSeconds") or self._duration
        return bool(loop_now - self._observed_at > duration) or self._holder_died(spec)

    def _holder_died(self, spec: Object) -> bool:
        """True when the holder was a process of this host that is provably gone.

        Only identities made by `host_identity` carry a process id; after a crash the successor
        need not wait out the lease.
        """
        holder = str(spec.get("holderIdentity") or "")
        prefix = f"{socket.gethostname()}_{_boot_id()}_"
        if not holder.startswith(prefix):
            return False
        pid, _, born = holder.removeprefix(prefix).partition("_")
        return pid.isdigit() and _start_ticks(int(pid)) != born

    async def _release(self) -> None:
        """Give the lease back, so that a successor need not wait it out."""
        try:
            async with asyncio.timeout(2.0):
                lease = await self._client.get(LEASES, self._name, self._namespace)
                spec = lease.get("spec") or {}
                if spec.get("holderIdentity") != self.identity:
                    return
                lease["spec"] = {
                    **spec,
                    "holderIdentity": "",
                    "leaseDurationSeconds": 1,
                    "renewTime": times.now_micro(),
                    "acquireTime": times.now_micro(),
                }
                await self._client.update(LEASES, lease)
        except (StatusError, TimeoutError) as error:
            log.debug("lease not released", lease=self._name, error=str(error))


def host_identity() -> str:
    """An identity by which a successor on this host can tell that its holder has died.

    `<hostname>_<boot id>_<pid>_<process start>`: boot id and start time make the pid unambiguous.
    """
    pid = os.getpid()
    return f"{socket.gethostname()}_{_boot_id()}_{pid}_{_start_ticks(pid)}"


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return "unknown"


def _start_ticks(pid: int) -> str:
    """The start time of a process in clock ticks since boot, "" when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            # The name in parentheses may hold spaces: count fields after the last one.
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
