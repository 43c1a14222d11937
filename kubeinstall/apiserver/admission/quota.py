"""ResourceQuota: a namespace uses no more than its quotas allow.

A check and the write of the quota's new `status.used` happen under one lock per namespace, and the
write is guarded by the quota's resource version, so that concurrent creates, on one API server or on
several, cannot both take the last of something. `status.used` is recalculated from what exists, and
what was admitted but cannot be seen yet, when something is deleted, finishes, or when a quota is new;
a while after a write, too, so that one that was admitted and then failed is given back.

What another server admitted and has not written yet cannot be seen here, only that `status.used` rose: a recalculation
waits until what others raised is `_PENDING_SECONDS` old. Nobody starves by that: a quota that is full is not raised.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import structlog

from kubeinstall.api import resources
from kubeinstall.api.quantity import Quantity
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission import usage
from kubeinstall.apiserver.admission.plugin import Plugin, refuse
from kubeinstall.apiserver.admission.raises import Raises
from kubeinstall.apiserver.admission.shared import Shared
from kubeinstall.apiserver.admission.usage import Amounts
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import CREATE, UPDATE, AdmissionAttributes
from kubeinstall.errors import Forbidden, KubeinstallError, NotFound

_log = structlog.get_logger(__name__)
_ZERO = Quantity.parse("0")
#: Recalculation waits for this much quiet in a namespace: writes just admitted reach the cache.
_QUIET_SECONDS = 0.3
#: A create that was admitted so long ago and cannot be seen has failed.
_PENDING_SECONDS = 5.0
_UPDATED = frozenset({"pods", "services", "persistentvolumeclaims"})
_MAX_RECALCULATIONS = 4096


_Written = tuple[str, str, str]  # group, plural, name


class _Pending(NamedTuple):
    """What an admitted create takes, until its object shows up in the cache."""

    resource: Resource
    expires: float
    amounts: dict[str, Amounts]  # by quota


class ResourceQuota(Plugin):
    """Checks writes against quotas, and keeps quotas' status."""

    name = "ResourceQuota"

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._quota_kind = kind("resourcequotas")
        self._quotas = Shared(registry, self._quota_kind)
        self._locks: dict[str, asyncio.Lock] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._watched: set[tuple[str, str]] = set()
        self._pending: dict[str, dict[_Written, _Pending]] = {}
        self._raises = Raises(_PENDING_SECONDS)
        registry.observe(self._quota_kind, self._quota_changed)

    def handles(self, group: str, plural: str, subresource: str, operation: str) -> bool:
        """New objects of all kinds; updates of those whose amount can change."""
        if (group, plural, subresource) == ("", "pods", "resize"):
            return operation == UPDATE
        if subresource:
            return False
        if operation == UPDATE:
            return not group and plural in _UPDATED and plural != "pods"
        return operation == CREATE

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raises `Forbidden` when a quota would be exceeded."""
        namespace, obj = attributes.namespace, attributes.object
        if not namespace or obj is None or not self._quotas.within(namespace):
            return
        resource = attributes.resource
        if not any(self._relevant(q, resource) for q in self._quotas.within(namespace).values()):
            return
        lock = self._locks.setdefault(namespace, asyncio.Lock())
        async with lock:
            for name in sorted(self._quotas.within(namespace)):
                await self._check(attributes, name, obj)

    @staticmethod
    def _relevant(quota: Object, resource: Resource) -> bool:
        hard = (quota.get("spec") or {}).get("hard") or {}
        return any(usage.concerns(resource, amount) for amount in hard)

    async def _check(self, attributes: AdmissionAttributes, name: str, obj: Object) -> None:
        resource, namespace = attributes.resource, attributes.namespace
        quota = self._quotas.get(name, namespace)
        if quota is None or not self._relevant(quota, resource):
            return
        if not usage.in_scope(quota, resource, obj):
            return
        hard = (quota.get("spec") or {}).get("hard") or {}
        if not resource.group and resource.name == "pods":
            problem = usage.unstated(obj, set(hard))
            if problem:
                raise refuse(attributes, f"failed quota: {name}: {problem}")
        delta = _delta(resource, obj, attributes.old, quota)
        wanted = {amount: delta[amount] for amount in hard if delta.get(amount)}
        if not wanted:
            return
        if not set(wanted) <= set((quota.get("status") or {}).get("used") or {}):
            await self._recalculate_quota(namespace, name)

        def take(current: Object) -> Object | None:
            status = current.setdefault("status", {})
            limits = (current.get("spec") or {}).get("hard") or {}
            used = status.get("used") or {}
            refusal = _exceeded(attributes, name, wanted, used, limits)
            if refusal is not None:
                raise refusal
            status["used"] = {**used, **_sum(used, wanted)}
            status.setdefault("hard", dict(limits))
            return current

        if attributes.dry_run:
            live = await self._registry.get_live(self._quota_kind, name, namespace)
            take(live)
            return
        try:
            done = await self._registry.update(
                self._quota_kind, namespace, name, take, subresource="status", admit=False
            )
        except NotFound:
            return  # the quota was deleted meanwhile
        self._raises.ours(done)
        if attributes.operation == CREATE and attributes.name:
            self._note_pending(attributes, name, wanted)
        self._schedule(namespace, delay=_PENDING_SECONDS + _QUIET_SECONDS)

    # Recalculation

    def _note_pending(self, attributes: AdmissionAttributes, quota: str, wanted: Amounts) -> None:
        writes = self._pending.setdefault(attributes.namespace, {})
        key = (attributes.resource.group, attributes.resource.name, attributes.name)
        known = writes.get(key)
        amounts = {**(known.amounts if known is not None else {}), quota: wanted}
        expires = time.monotonic() + _PENDING_SECONDS
        writes[key] = _Pending(attributes.resource, expires, amounts)

    def _still_pending(self, namespace: str, quota: str) -> Iterator[Amounts]:
        """What admitted creates took that cannot be seen yet. A create that failed after admission
        counts until it expires."""
        writes = self._pending.get(namespace, {})
        now = time.monotonic()
        for key, pending in list(writes.items()):
            if pending.expires < now or self._exists(pending.resource, key[2], namespace):
                del writes[key]
            elif quota in pending.amounts:
                yield pending.amounts[quota]
        if not writes:
            self._pending.pop(namespace, None)

    def _exists(self, resource: Resource, name: str, namespace: str) -> bool:
        try:
            self._registry.get(resource, name, namespace)
        except NotFound:
            return False
        return True

    def _quota_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            metadata = (old or {})["metadata"]
            if not self._quotas.within(metadata["namespace"]):
                self._locks.pop(metadata["namespace"], None)
            return
        if old is not None:
            self._raises.seen(old, new)
        before = (old or {}).get("spec")
        if old is None or before != new.get("spec"):
            self._watch_kinds(new)
            self._schedule(new["metadata"]["namespace"])

    def _watch_kinds(self, quota: Object) -> None:
        """Observe the resources that the quota counts, so that deletions give back."""
        for amount in (quota.get("spec") or {}).get("hard") or {}:
            for resource in _counted(amount):
                key = (resource.group, resource.name)
                if key not in self._watched:
                    self._watched.add(key)
                    self._registry.observe(resource, partial(self._object_changed, resource))

    def _object_came(self, resource: Resource, obj: Object) -> None:
        """What was admitted is there: here, or, if this server did not admit it, on another."""
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "")
        writes = self._pending.get(namespace) or {}
        if writes.pop((resource.group, resource.name, metadata["name"]), None) is not None:
            return
        for name, quota in self._quotas.within(namespace).items():
            hard = (quota.get("spec") or {}).get("hard") or {}
            if set(hard) & set(usage.usage(resource, obj)) and usage.in_scope(quota, resource, obj):
                self._raises.landed(namespace, name)

    def _object_changed(self, resource: Resource, old: Object | None, new: Object | None) -> None:
        if old is None:
            if new is not None:
                self._object_came(resource, new)
            return
        namespace = old["metadata"].get("namespace", "")
        if not self._quotas.within(namespace):
            return
        finished = (
            new is not None
            and "containers" in (new.get("spec") or {})
            and usage.is_finished(new) != usage.is_finished(old)
        )
        if new is None or finished or new.get("spec") != old.get("spec"):
            self._schedule(namespace)

    def _schedule(self, namespace: str, delay: float = _QUIET_SECONDS) -> None:
        """Recalculate the namespace's quotas once nothing has happened for `delay` seconds."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # the first objects arrive before the loop runs: `_check` fills in the rest
        timer = self._timers.get(namespace)
        if timer is not None:
            if timer.when() <= loop.time() + delay:
                return
            timer.cancel()
        elif len(self._timers) >= _MAX_RECALCULATIONS:
            return
        self._timers[namespace] = loop.call_later(delay, self._start, namespace)

    def _start(self, namespace: str) -> None:
        self._timers.pop(namespace, None)
        task = asyncio.get_running_loop().create_task(self._recalculate(namespace))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _recalculate(self, namespace: str) -> None:
        async with self._locks.setdefault(namespace, asyncio.Lock()):
            for name in sorted(self._quotas.within(namespace)):
                wait = self._raises.wait(namespace, name)
                if wait > 0:
                    self._schedule(namespace, delay=wait)
                    continue
                try:
                    await self._recalculate_quota(namespace, name)
                except KubeinstallError as error:
                    _log.warning(
                        "quota not recalculated",
                        namespace=namespace,
                        quota=name,
                        error=str(error),
                    )

    async def _recalculate_quota(self, namespace: str, name: str) -> None:
        def mutate(current: Object) -> Object | None:
            hard = (current.get("spec") or {}).get("hard") or {}
            status = {"hard": dict(hard), "used": self._used(namespace, current, hard)}
            if current.get("status") == status:
                return None
            current["status"] = status
            return current

        try:
            done = await self._registry.update(
                self._quota_kind, namespace, name, mutate, subresource="status", admit=False
            )
        except NotFound:
            return
        self._raises.ours(done)

    def _used(self, namespace: str, quota: Object, hard: Object) -> dict[str, str]:
        counted = {amount: _counted(amount) for amount in hard}
        # Amounts that nothing can use are not told, as upstream's controller leaves them out.
        total: Amounts = {amount: _ZERO for amount in hard if counted[amount]}
        kinds = {r.group_resource: r for found in counted.values() for r in found}
        for resource in kinds.values():
            for obj in self._registry.list(resource, namespace):
                if not usage.in_scope(quota, resource, obj):
                    continue
                for amount, value in usage.usage(resource, obj).items():
                    if amount in total and usage.concerns(resource, amount):
                        total[amount] = total[amount] + value
        for amounts in self._still_pending(namespace, quota["metadata"]["name"]):
            for amount, value in amounts.items():
                if amount in total:
                    total[amount] = total[amount] + value
        return {amount: str(value) for amount, value in total.items()}


def _counted(amount: str) -> list[Resource]:
    """The resources whose objects use an amount."""
    if amount.startswith("count/"):
        plural, _, group = amount.removeprefix("count/").partition(".")
        return [
            r
            for r in resources.builtin()
            if (r.name, r.group) == (plural, group) and r.namespaced and r.stored
        ][:1]
    return [
        resource
        for plural in (
            "pods",
            "services",
            "persistentvolumeclaims",
            "configmaps",
            "secrets",
            "replicationcontrollers",
            "resourcequotas",
        )
        if usage.concerns(resource := kind(plural), amount)
    ]


def _delta(resource: Resource, obj: Object, old: Object | None, quota: Object) -> Amounts:
    """What the write adds; nothing where it takes away."""
    after = usage.usage(resource, obj)
    if old is None or not usage.in_scope(quota, resource, old):
        return after
    before = usage.usage(resource, old)
    return {
        amount: value - before.get(amount, _ZERO)
        for amount, value in after.items()
        if before.get(amount, _ZERO) < value
    }


def _sum(used: Object, wanted: Amounts) -> dict[str, str]:
    return {
        amount: str(Quantity.parse(used.get(amount, "0")) + value)
        for amount, value in wanted.items()
    }


def _exceeded(
    attributes: AdmissionAttributes, name: str, wanted: Amounts, used: Object, hard: Object
) -> Forbidden | None:
    unknown = sorted(amount for amount in wanted if amount not in used)
    if unknown:
        return refuse(
            attributes, f"status unknown for quota: {name}, resources: {','.join(unknown)}"
        )
    over = sorted(
        amount
        for amount, value in wanted.items()
        if amount in hard
        and Quantity.parse(hard[amount]) < Quantity.parse(used.get(amount, "0")) + value
    )
    if not over:
        return None
    requested = ",".join(f"{amount}={wanted[amount]}" for amount in over)
    spent = ",".join(f"{amount}={used.get(amount, '0')}" for amount in over)
    limited = ",".join(f"{amount}={hard[amount]}" for amount in over)
    return refuse(
        attributes,
        f"exceeded quota: {name}, requested: {requested}, used: {spent}, limited: {limited}",
    )
