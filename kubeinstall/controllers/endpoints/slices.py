"""Plans the writes that make a Service's EndpointSlices right, touching as few as possible.

As upstream's reconciler: endpoints that are right stay where they are; slices with wrong ones are
rewritten and filled up with new endpoints; only what is left over makes new slices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from kubeinstall.api.types import Object

SLICES = "discovery.k8s.io/v1/endpointslices"
SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_LABEL = "endpointslice.kubernetes.io/managed-by"


@dataclass(slots=True)
class Group:
    """Endpoints that share one list of ports, by the key that identifies each."""

    ports: list[Object]
    endpoints: dict[str, Object] = field(default_factory=dict)


@dataclass(slots=True)
class Plan:
    """Slices to create, update (already changed) and delete."""

    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


def ports_key(ports: Iterable[Object]) -> bytes:
    """Equal for equal lists of ports, whatever their order."""
    return orjson.dumps(
        sorted(orjson.dumps(p, option=orjson.OPT_SORT_KEYS).decode() for p in ports)
    )


def endpoint_key(endpoint: Object) -> str:
    """What makes two endpoints the same one: target and address."""
    target = endpoint.get("targetRef") or {}
    return f"{target.get('uid') or target.get('name') or ''}/{','.join(endpoint['addresses'])}"


def plan(groups: dict[bytes, Group], existing: list[Object], frame: Object, limit: int) -> Plan:
    """The writes for one address family.

    `frame` is a slice without endpoints and ports: metadata (labels, owner, generateName) and
    addressType. `limit` is the most endpoints in a slice.
    """
    result = Plan()
    by_ports: dict[bytes, list[Object]] = {}
    for current in existing:
        by_ports.setdefault(ports_key(current.get("ports") or ()), []).append(current)
    wanted = dict(groups) or {ports_key(()): Group([])}
    for key, group in wanted.items():
        _plan_group(group, by_ports.pop(key, []), frame, limit, result)
    surplus = [current for leftover in by_ports.values() for current in leftover]
    # A slice of ports that are no longer used is turned into one that is needed: fewer writes.
    while surplus and result.create:
        old, new = surplus.pop(), result.create.pop()
        result.update.append(
            {**old, "metadata": _metadata(old, frame), "endpoints": new["endpoints"]}
            | ({"ports": new["ports"]} if "ports" in new else {"ports": None})
        )
    result.delete.extend(surplus)
    return result


def _plan_group(
    group: Group, existing: list[Object], frame: Object, limit: int, result: Plan
) -> None:
    missing = dict(group.endpoints)
    kept: list[tuple[Object, list[Object], bool]] = []
    for current in existing:
        before = current.get("endpoints") or []
        after = []
        for endpoint in before:
            found = missing.pop(endpoint_key(endpoint), None)
            if found is not None:
                after.append(found)
        kept.append((current, after, after != before))
    fresh = list(missing.values())
    # Slices that must be written anyway take new endpoints first, then the fullest with room.
    kept.sort(key=lambda item: (item[2], len(item[1])), reverse=True)
    survivors = [item for item in kept if item[1]]
    empty = [item[0] for item in kept if not item[1]]
    if not survivors and not fresh:
        _keep_placeholder(empty, frame, group, result)
        return
    for current, after, changed in survivors:
        room = limit - len(after)
        take = fresh[:room] if changed or len(fresh) <= room else []
        fresh = fresh[len(take) :]
        _rewrite(current, [*after, *take], changed or bool(take), frame, result)
    while fresh:
        part, fresh = fresh[:limit], fresh[limit:]
        if empty:
            _rewrite(empty.pop(0), part, True, frame, result)
        else:
            result.create.append(_make(frame, part, group.ports))
    result.delete.extend(empty)


def _keep_placeholder(empty: list[Object], frame: Object, group: Group, result: Plan) -> None:
    """A Service without endpoints has one empty slice, so that consumers know it was looked at."""
    if group.ports:
        result.delete.extend(empty)
        return
    if not empty:
        result.create.append(_make(frame, [], group.ports))
        return
    first, *rest = empty
    _rewrite(first, [], bool(first.get("endpoints")), frame, result)
    result.delete.extend(rest)


def _rewrite(
    current: Object, endpoints: list[Object], changed: bool, frame: Object, result: Plan
) -> None:
    meta = _metadata(current, frame)
    if changed or meta != current["metadata"]:
        result.update.append({**current, "metadata": meta, "endpoints": endpoints})


def _metadata(current: Object, frame: Object) -> Object:
    meta = {**current["metadata"], "labels": frame["metadata"]["labels"]}
    notes = {
        **(meta.get("annotations") or {}),
        **(frame["metadata"].get("annotations") or {}),
    }
    if notes:
        meta["annotations"] = notes
    if not meta.get("ownerReferences"):
        meta["ownerReferences"] = frame["metadata"]["ownerReferences"]
    return meta


def _make(frame: Object, endpoints: list[Object], ports: list[Object]) -> Object:
    made = {**frame, "endpoints": endpoints}
    if ports:
        made["ports"] = ports
    return made
