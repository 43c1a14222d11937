"""Leader election on a Lease, with upstream's timings and field semantics."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.client.backoff import Backoff
from kubeinstall.client.client import ApiClient
from kubeinstall.client.events import EventRecorder
from kubeinstall.errors import KubeinstallError, NotFound, StatusError

log = structlog.get_logger("leader")

LEASES = "coordination.k8s.io/v1/leases"
#: Upstream's health check tolerates an expired lease for so long.
_TOLERATED_SECONDS = 20.0


class LeadershipLost(KubeinstallError):
    """The lease could not be renewed in time; what ran under it has been cancelled."""


def _now() -> float:
    """Seconds that go on while the process is stopped or the machine sleeps; the event loop's own time stands still
    in between two of its rounds."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def default_identity() -> str:
    """`<hostname>_<uuid>`, as upstream's."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


class LeaderElector:
    """Holds a Lease while something runs, with upstream's semantics.

    A holder renews every `retry_period` seconds and gives up when it could not for `renew_deadline`; others take
    the lease when they saw no change of it for its duration, by their own clock, so that clocks of hosts need not
    agree. `fence` is for the connections of what runs under the lease: a process that slept through its lease must
    not write before it has noticed.
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
        events: EventRecorder | None = None,
    ) -> None:
        """`client` is used for the Lease alone; `events` tells who leads. Times in seconds."""
        self._client = client
        self._name = name
        self._namespace = namespace
        self.identity = identity or default_identity()
        self._duration = lease_duration
        self._deadline = renew_deadline
        self._period = retry_period
        self._events = events
        self._observed: tuple[Any, ...] = ()
        self._observed_at = 0.0
        self._lease: Object | None = None  # as last written by us
        self._renewed_at = 0.0
        self._leading = False
        self._lost = False
        self._failed = False

    def leading(self) -> bool:
        """True while this process holds the lease."""
        return self._leading

    def fence(self) -> None:
        """Raises LeadershipLost when the lease may be another's by now; leadership is over then."""
        patience = min(self._deadline + self._period, self._duration)
        if self._leading and not self._lost and _now() - self._renewed_at < patience:
            return
        self._lost = True
        raise LeadershipLost(f"lease {self._namespace}/{self._name} not renewed in time")

    def check(self) -> None:
        """Health: raises when this process believes that it leads long after its lease ended."""
        if self._leading and _now() - self._renewed_at > self._duration + _TOLERATED_SECONDS:
            raise LeadershipLost(f"failed election to renew leadership on lease {self._name}")

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lease, then run `lead` under it.

        Returns when `lead` does; LeadershipLost when the lease is; releases it when cancelled.
        """
        # A server that cannot answer yet (both start together) is asked again soon; a rival's lease is not.
        backoff = Backoff(base=0.1, cap=self._period)
        while not await self._try(self._acquire):
            if self._failed:
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            # Jitter of 1.2 as upstream's, so that contenders do not march in step.
            await asyncio.sleep(self._period * (1 + 1.2 * random.random()))  # noqa: S311
        self._leading = True
        log.info("became leader", lease=self._name, identity=self.identity)
        self._tell("became leader")
        work = asyncio.ensure_future(lead())
        renewal = asyncio.create_task(self._renew(), name=f"renew lease {self._name}")
        helpers = [renewal]
        if self._events is not None:
            helpers.append(asyncio.create_task(self._events.run(), name="leader events"))
        try:
            await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise LeadershipLost(f"lease {self._namespace}/{self._name} lost")
            work.result()
        finally:
            held = not self._lost and not (renewal.done() and not renewal.cancelled())
            renewal.cancel()
            work.cancel()
            await asyncio.gather(work, renewal, return_exceptions=True)
            self._leading = False
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            if held:
                await asyncio.shield(self._release())

    async def _renew(self) -> None:
        """Returns when the lease is another's, or could not be renewed in time."""
        while True:
            if not await self._renew_once():
                break
            await asyncio.sleep(self._period)
        self._lost = True
        log.error("lost the lease", lease=self._name)
        self._tell("stopped leading")

    async def _renew_once(self) -> bool:
        """Try until it works; False when it did not for the deadline, or another holds the lease."""
        begun = _now()
        while not self._lost and _now() - self._renewed_at < self._duration:
            # A request that hangs leaves time for another, as upstream's client does.
            seconds = min(self._deadline / 2, max(0.1, begun + self._deadline - _now()))
            try:
                async with asyncio.timeout(seconds):
                    if await self._try(self._update):
                        return not self._lost
            except TimeoutError:
                pass
            if _now() - begun + self._period > self._deadline:
                return False
            await asyncio.sleep(self._period)
        return False

    async def _try(self, work: Callable[[], Awaitable[bool]]) -> bool:
        """Take or renew the lease once; False when another holds it or the server fails."""
        self._failed = False
        begun = _now()
        try:
            done = await work()
        except StatusError as error:
            self._failed = True
            log.debug("lease not taken", lease=self._name, error=str(error))
            return False
        if done:
            # From before the request: others count from when they see it, which is later.
            self._renewed_at = begun
        return done

    async def _update(self) -> bool:
        """Renew what this process holds: at first as it was last written, which saves a read."""
        if self._lease is not None:
            try:
                return await self._write(self._lease)
            except StatusError as error:
                log.debug("lease is read again", lease=self._name, error=str(error))
        lease = await self._client.get(LEASES, self._name, self._namespace)
        if (lease.get("spec") or {}).get("holderIdentity") != self.identity:
            # Whoever held it in between has acted: what this process knows is old.
            self._lost = True
            return True
        return await self._write(lease)

    async def _acquire(self) -> bool:
        try:
            lease = await self._client.get(LEASES, self._name, self._namespace)
        except NotFound:
            self._lease = await self._client.create(LEASES, self._new())
            return True
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        self._observe(spec)
        if holder and holder != self.identity and not self._expired(spec):
            return False
        return await self._write(lease)

    async def _write(self, lease: Object) -> bool:
        """Make the lease ours, or ours again. Raises StatusError."""
        now = times.now_micro()
        spec = lease.get("spec") or {}
        changed = {
            **spec,
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(self._duration),
            "renewTime": now,
        }
        if spec.get("holderIdentity") != self.identity:
            changed["acquireTime"] = now
            changed["leaseTransitions"] = (spec.get("leaseTransitions") or 0) + 1
        try:
            self._lease = await self._client.update(LEASES, {**lease, "spec": changed})
        except StatusError:
            self._lease = None
            raise
        return True

    def _tell(self, what: str) -> None:
        if self._events is not None and self._lease is not None:
            message = f"{self.identity} {what}"
            self._events.event(self._lease, "Normal", "LeaderElection", message)

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
            self._observed_at = _now()

    def _expired(self, spec: Object) -> bool:
        duration = spec.get("leaseDurationSeconds") or self._duration
        return bool(_now() - self._observed_at > duration) or self._holder_died(spec)

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
