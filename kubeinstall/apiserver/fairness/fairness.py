"""All schemas and levels, kept current; says of a request which flow it belongs to."""

from __future__ import annotations

import asyncio
import math
from typing import NamedTuple

from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.fairness.levels import Level
from kubeinstall.apiserver.fairness.schemas import Schema
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import RequestInfo, User

GROUP = "flowcontrol.apiserver.k8s.io"
_KNOWN = 8192  # answers kept


class Flow(NamedTuple):
    """Where a request stands. `name` tells flows of a schema apart; `headers` tell the client."""

    level: Level
    schema: str
    name: str
    headers: str


class Fairness:
    """`seats` are those of the whole server, which levels share by their `nominalConcurrencyShares`."""

    def __init__(self, registry: Registry, seats: int) -> None:
        self._seats = seats
        self._schemas: dict[str, Schema] = {}
        self._objects: dict[str, Object] = {}
        self._order: list[Schema] = []
        self.levels: dict[str, Level] = {}
        self._answers: dict[tuple[object, ...], Flow | None] = {}
        self._changed = False
        registry.observe(kind("prioritylevelconfigurations", GROUP), self._level_changed)
        registry.observe(kind("flowschemas", GROUP), self._schema_changed)

    def flow(self, user: User, info: RequestInfo) -> Flow | None:
        """The flow of a request; None before there are any schemas."""
        if self._changed:
            self._settle()
        key = (
            user.name,
            user.groups,
            info.verb,
            info.group,
            info.resource,
            info.subresource,
            info.namespace,
            "" if info.is_resource else info.path,
        )
        found = self._answers.get(key, _UNKNOWN)
        if not isinstance(found, _Unknown):
            return found
        if len(self._answers) >= _KNOWN:
            self._answers.clear()
        answer = self._answers[key] = self._classify(user, info)
        return answer

    def _classify(self, user: User, info: RequestInfo) -> Flow | None:
        for schema in self._order:
            level = self.levels.get(schema.level)
            if level is not None and schema.matches(user, info):
                headers = (
                    f"X-Kubernetes-Pf-Flowschema-Uid: {schema.uid}\r\n"
                    f"X-Kubernetes-Pf-Prioritylevel-Uid: {level.uid}\r\n"
                )
                return Flow(level, schema.name, schema.distinguisher(user, info), headers)
        return None

    def _level_changed(self, old: Object | None, new: Object | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        if new is None:
            self._objects.pop(name, None)
        else:
            self._objects[name] = new
        self._settle_soon()

    def _schema_changed(self, old: Object | None, new: Object | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        if new is None:
            self._schemas.pop(name, None)
        elif old is None or old.get("spec") != new.get("spec") or name not in self._schemas:
            self._schemas[name] = Schema(new)
        else:
            return  # only its status
        self._settle_soon()

    def _settle_soon(self) -> None:
        """Once for many changes, and without a request: who waits for a seat may get one now."""
        if not self._changed:
            self._changed = True
            asyncio.get_running_loop().call_soon(self._settle)

    def _settle(self) -> None:
        if not self._changed:
            return
        self._changed = False
        self._answers.clear()
        self._order = sorted(self._schemas.values(), key=lambda schema: schema.sort_key)
        for name in [name for name in self.levels if name not in self._objects]:
            del self.levels[name]
        shares = {name: _shares(obj) for name, obj in self._objects.items()}
        total = sum(shares.values()) or 1
        for name, obj in self._objects.items():
            level = self.levels.get(name)
            if level is None:
                level = self.levels[name] = Level(name, self._spare)
            level.configure(obj, math.ceil(self._seats * shares[name] / total))

    def _spare(self, borrower: Level) -> int:
        """How many seats others leave idle and may lend."""
        found = 0
        for level in self.levels.values():
            if level is borrower:
                continue
            busy = level.executing + level.waiting
            found += min(level.lendable, max(level.nominal - busy, 0))
            found -= max(level.executing - level.nominal, 0)  # lent to somebody else already
        return max(found, 0)


class _Unknown:
    """No answer yet: None is one."""


_UNKNOWN = _Unknown()


def _shares(obj: Object) -> int:
    spec = obj.get("spec") or {}
    if spec.get("type") == "Exempt":
        return int((spec.get("exempt") or {}).get("nominalConcurrencyShares") or 0)
    shares = (spec.get("limited") or {}).get("nominalConcurrencyShares")
    return 30 if shares is None else int(shares)
