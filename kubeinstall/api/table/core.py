"""Rows of the other core kinds, device kinds, and what the aggregator serves."""

from __future__ import annotations

from typing import Final

from kubeinstall.api.table.cells import (
    NONE,
    UNKNOWN,
    UNSET,
    Cells,
    age_of,
    at,
    condition,
    deleting,
    name_of,
    quantity_text,
)
from kubeinstall.api.table.durations import since
from kubeinstall.api.types import Object

_ROLE_PREFIX: Final = "node-role.kubernetes.io/"


def node(obj: Object, now: float) -> Cells:
    """Node."""
    info = at(obj, "status", "nodeInfo") or {}
    ready = condition(obj, "Ready")
    states = ["Unknown"]
    if ready is not None:
        states = ["Ready" if ready.get("status") == "True" else "NotReady"]
    if at(obj, "spec", "unschedulable"):
        states.append("SchedulingDisabled")
    return [
        name_of(obj),
        ",".join(states),
        ",".join(_roles(obj)) or NONE,
        age_of(obj, now),
        info.get("kubeletVersion", ""),
        _address(obj, "InternalIP"),
        _address(obj, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _roles(obj: Object) -> list[str]:
    labels = at(obj, "metadata", "labels") or {}
    roles = {key[len(_ROLE_PREFIX) :] for key in labels if key.startswith(_ROLE_PREFIX)}
    roles.add(labels.get("kubernetes.io/role", ""))
    return sorted(roles - {""})


def _address(obj: Object, kind: str) -> str:
    for each in at(obj, "status", "addresses") or ():
        if each.get("type") == kind:
            return str(each.get("address", ""))
    return NONE


def event(obj: Object, now: float) -> Cells:
    """Event, in core/v1 or events.k8s.io/v1 form."""
    first_time = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp")
    last_time = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp")
    first = since(first_time or obj.get("eventTime"), now)
    last = since(last_time, now) if last_time else first
    count = obj.get("count") or obj.get("deprecatedCount") or 1
    if series := obj.get("series"):
        last, count = since(series.get("lastObservedTime"), now), series.get("count", 0)
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    target = about.get("kind", "").lower()
    if about.get("name"):
        target = f"{target}/{about['name']}"
    return [
        last,
        obj.get("type", ""),
        obj.get("reason", ""),
        target,
        about.get("fieldPath", ""),
        _source(obj),
        (obj.get("message") or obj.get("note") or "").strip(),
        first,
        count,
        name_of(obj),
    ]


def _source(obj: Object) -> str:
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    reporter = obj.get("reportingComponent") or obj.get("reportingController") or ""
    component = source.get("component") or reporter
    instance = source.get("host") or obj.get("reportingInstance") or ""
    return f"{component}, {instance}" if instance else component


def namespace(obj: Object, now: float) -> Cells:
    """Namespace."""
    return [name_of(obj), at(obj, "status", "phase") or "", age_of(obj, now)]


def secret(obj: Object, now: float) -> Cells:
    """Secret: how many keys, never what they hold."""
    return [name_of(obj), obj.get("type", ""), len(obj.get("data") or ()), age_of(obj, now)]


def config_map(obj: Object, now: float) -> Cells:
    """ConfigMap."""
    count = len(obj.get("data") or ()) + len(obj.get("binaryData") or ())
    return [name_of(obj), count, age_of(obj, now)]


def name_age(obj: Object, now: float) -> Cells:
    """Kinds that show no more."""
    return [name_of(obj), age_of(obj, now)]


def default(obj: Object, now: float) -> Cells:
    """Kinds without a printer."""
    return [name_of(obj), at(obj, "metadata", "creationTimestamp")]


def component_status(obj: Object, now: float) -> Cells:
    """ComponentStatus."""
    for each in obj.get("conditions") or ():
        if each.get("type") == "Healthy":
            status = {"True": "Healthy"}.get(each.get("status", ""), "Unhealthy")
            return [name_of(obj), status, each.get("message", ""), each.get("error", "")]
    return [name_of(obj), "Unknown", "", ""]


def resource_quota(obj: Object, now: float) -> Cells:
    """ResourceQuota."""
    requests: list[str] = []
    limits: list[str] = []
    hard, used = at(obj, "status", "hard") or {}, at(obj, "status", "used") or {}
    for name in sorted(hard):
        shown = f"{name}: {quantity_text(used.get(name))}/{quantity_text(hard[name])}"
        (limits if name.startswith("limits") else requests).append(shown)
    return [name_of(obj), ", ".join(requests), ", ".join(limits), age_of(obj, now)]


def scale(obj: Object, now: float) -> Cells:
    """Scale."""
    wanted, found = at(obj, "spec", "replicas") or 0, at(obj, "status", "replicas") or 0
    return [name_of(obj), wanted, found, age_of(obj, now)]


def resource_claim(obj: Object, now: float) -> Cells:
    """ResourceClaim."""
    states = ["deleted"] if deleting(obj) else []
    if at(obj, "status", "allocation"):
        states.append("allocated")
        if at(obj, "status", "reservedFor"):
            states.append("reserved")
    elif not deleting(obj):
        states.append("pending")
    return [name_of(obj), ",".join(states), age_of(obj, now)]


def resource_slice(obj: Object, now: float) -> Cells:
    """ResourceSlice."""
    spec = obj.get("spec") or {}
    return [
        name_of(obj),
        spec.get("nodeName") or UNSET,
        spec.get("driver", ""),
        at(spec, "pool", "name") or "",
        age_of(obj, now),
    ]


def migration(obj: Object, now: float) -> Cells:
    """StorageVersionMigration."""
    resource = at(obj, "spec", "resource") or {}
    parts = [resource.get("resource", ""), resource.get("version", ""), resource.get("group", "")]
    return [name_of(obj), ".".join(part for part in parts if part)]


def api_service(obj: Object, now: float) -> Cells:
    """APIService."""
    service = at(obj, "spec", "service")
    shown = f"{service.get('namespace')}/{service.get('name')}" if service else "Local"
    found = condition(obj, "Available")
    available = found.get("status", "Unknown") if found else "Unknown"
    if found and available != "True":
        available = f"{available} ({found.get('reason', '')})"
    return [name_of(obj), shown, available, age_of(obj, now)]
