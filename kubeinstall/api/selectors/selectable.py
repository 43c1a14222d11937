"""Which fields of which kind a field selector may name, and their values in an object.

Facts of upstream's `AddFieldLabelConversionFunc` registrations and `ToSelectableFields` functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kubeinstall.api import schema
from kubeinstall.api.selectors.labels import SelectorError
from kubeinstall.api.types import Object

Fields = dict[str, str]

_META: Final = ("metadata.name", "metadata.namespace")
_EVENT: Final = tuple(
    f"involvedObject.{name}"
    for name in (
        "kind",
        "namespace",
        "name",
        "uid",
        "apiVersion",
        "resourceVersion",
        "fieldPath",
    )
)

#: (group, kind) → supported fields, where a kind has its own rule; all others support `_META`.
_SUPPORTED: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("", "Pod"): (
        *_META,
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    ("", "Node"): ("metadata.name", "spec.unschedulable"),
    ("", "ReplicationController"): (*_META, "status.replicas"),
    ("", "Event"): (
        *_META,
        *_EVENT,
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    ("events.k8s.io", "Event"): (
        *_META,
        *(name.replace("involvedObject", "regarding") for name in _EVENT),
        "reason",
        "reportingController",
        "type",
    ),
    ("", "Namespace"): ("metadata.name", "status.phase"),
    ("", "Secret"): (*_META, "type"),
    ("", "Service"): (*_META, "spec.clusterIP", "spec.type"),
    ("batch", "Job"): (*_META, "status.successful"),
    ("certificates.k8s.io", "CertificateSigningRequest"): ("metadata.name", "spec.signerName"),
    ("certificates.k8s.io", "ClusterTrustBundle"): ("metadata.name", "spec.signerName"),
    ("certificates.k8s.io", "PodCertificateRequest"): (
        *_META,
        "spec.signerName",
        "spec.podName",
        "spec.nodeName",
    ),
    ("resource.k8s.io", "ResourceSlice"): ("metadata.name", "spec.nodeName", "spec.driver"),
}

#: Names that stand for another.
_ALIASES: Final = {
    ("", "Pod", "spec.host"): "spec.nodeName",
    ("events.k8s.io", "Event", "reportingController"): "reportingComponent",
    **{
        ("events.k8s.io", "Event", name.replace("involvedObject", "regarding")): name
        for name in _EVENT
    },
}


def supported_fields(group: str, kind: str, extra: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The field names that a field selector on this kind may use."""
    return _SUPPORTED.get((group, kind), _META) + extra


def convert_field(
    field: str, group: str, version: str, kind: str, extra: tuple[str, ...] = ()
) -> str:
    """The canonical name of a field. Raises SelectorError when the kind does not support it."""
    known = _SUPPORTED.get((group, kind))
    if (group, kind, field) in _ALIASES:
        return _ALIASES[group, kind, field]
    if field in (known or _META) or field in extra:
        return field
    if known is None and schema.type_name(group, version, kind) is not None:
        raise SelectorError(
            f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'
        )
    if (group, kind) == ("batch", "Job"):
        raise SelectorError(f'field label "{field}" not supported for Job')
    if (group, kind) == ("resource.k8s.io", "ResourceSlice"):
        raise SelectorError(
            f"field label not supported for {group}/{version}, Kind=ResourceSlice: {field}"
        )
    raise SelectorError(f"field label not supported: {field}")


def selectable_fields(group: str, kind: str, obj: Object, extra: tuple[str, ...] = ()) -> Fields:
    """The values that field selectors compare, by canonical field name.

    `extra` are a CustomResource's selectable JSON paths ("spec.color").
    """
    metadata = obj.get("metadata") or {}
    fields: Fields = {"metadata.name": metadata.get("name", "")}
    if namespace := metadata.get("namespace"):
        fields["metadata.namespace"] = namespace
    extract = _EXTRACT.get((group, kind))
    if extract is not None:
        extract(obj, fields)
    for path in extra:
        fields[path] = _text(_at(obj, path))
    return fields


def _at(obj: Object, path: str) -> Any:
    current: Any = obj
    for part in path.split("."):
        current = current.get(part) if isinstance(current, dict) else None
    return current


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _pod(obj: Object, fields: Fields) -> None:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    fields["spec.nodeName"] = spec.get("nodeName", "")
    fields["spec.restartPolicy"] = spec.get("restartPolicy", "")
    fields["spec.schedulerName"] = spec.get("schedulerName", "")
    fields["spec.serviceAccountName"] = spec.get("serviceAccountName", "")
    fields["spec.hostNetwork"] = "true" if spec.get("hostNetwork") else "false"
    fields["status.phase"] = status.get("phase", "")
    ips = status.get("podIPs") or []
    first = ips[0].get("ip", "") if ips else status.get("podIP", "")
    fields["status.podIP"] = first
    fields["status.podIPs"] = first
    fields["status.nominatedNodeName"] = status.get("nominatedNodeName", "")


def _event(obj: Object, fields: Fields) -> None:
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    for name in _EVENT:
        fields[name] = about.get(name.partition(".")[2], "")
    fields["reason"] = obj.get("reason", "")
    fields["type"] = obj.get("type", "")
    reporter = obj.get("reportingComponent") or obj.get("reportingController") or ""
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    fields["reportingComponent"] = reporter
    fields["source"] = source.get("component") or reporter


def _plain(*paths: str, default: str = "") -> Callable[[Object, Fields], None]:
    def extract(obj: Object, fields: Fields) -> None:
        for path in paths:
            fields[path] = _text(_at(obj, path)) or default

    return extract


def _job(obj: Object, fields: Fields) -> None:
    fields["status.successful"] = _text(_at(obj, "status.succeeded") or 0)


_EXTRACT: Final[dict[tuple[str, str], Callable[[Object, Fields], None]]] = {
    ("", "Pod"): _pod,
    ("", "Event"): _event,
    ("events.k8s.io", "Event"): _event,
    ("", "Node"): _plain("spec.unschedulable", default="false"),
    ("", "ReplicationController"): _plain("status.replicas", default="0"),
    ("", "Namespace"): _plain("status.phase"),
    ("", "Secret"): _plain("type"),
    ("", "Service"): _plain("spec.clusterIP", "spec.type"),
    ("batch", "Job"): _job,
    ("certificates.k8s.io", "CertificateSigningRequest"): _plain("spec.signerName"),
    ("certificates.k8s.io", "ClusterTrustBundle"): _plain("spec.signerName"),
    ("certificates.k8s.io", "PodCertificateRequest"): _plain(
        "spec.signerName", "spec.podName", "spec.nodeName"
    ),
    ("resource.k8s.io", "ResourceSlice"): _plain("spec.nodeName", "spec.driver"),
}
