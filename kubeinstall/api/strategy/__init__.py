"""What happens to an object between admission and validation: upstream's `PrepareForCreate` and
`PrepareForUpdate`.

The caller sets `metadata.name` (generated or not), `namespace`, `uid` and `creationTimestamp` before
`prepare_create`, as upstream's generic store does; strategies use them. Objects are in the storage
version and in the form of `codec.normalize`; they are in it afterwards too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

from kubeinstall.api import codec, defaults, schema
from kubeinstall.api.resources import Resource
from kubeinstall.api.strategy import custom, objects, pods, services, workloads
from kubeinstall.api.strategy.generic import (
    bump,
    clear_system_fields,
    keep_generation,
    keep_system_fields,
    same,
    set_generation,
    take,
)
from kubeinstall.api.types import Object

Create = Callable[[Object], None]
Update = Callable[[Object, Object], None]

_ADMISSION: Final = "admissionregistration.k8s.io"
_APPS: Final = "apps"
_CERTIFICATES: Final = "certificates.k8s.io"
_DEFINITIONS: Final = "apiextensions.k8s.io"
_FLOW: Final = "flowcontrol.apiserver.k8s.io"
_NETWORKING: Final = "networking.k8s.io"
_RESOURCE: Final = "resource.k8s.io"
_STORAGE: Final = "storage.k8s.io"


def _without_status(obj: Object) -> None:
    obj["status"] = {}


def _first_generation(obj: Object) -> None:
    set_generation(obj, 1)


def _counted_without_status(obj: Object) -> None:
    obj["status"] = {}
    set_generation(obj, 1)


def _keep_status(new: Object, old: Object) -> None:
    take(new, old, "status")


def _count_spec(new: Object, old: Object) -> None:
    if not same(new, old, "spec"):
        bump(new, old)


def _count_spec_keep_status(new: Object, old: Object) -> None:
    take(new, old, "status")
    _count_spec(new, old)


def _keep_spec(new: Object, old: Object) -> None:
    take(new, old, "spec")


#: Kinds whose spec is counted, and who have a status.
_COUNTED: Final = (
    ("", "replicationcontrollers"),
    (_APPS, "deployments"),
    (_APPS, "replicasets"),
    ("batch", "cronjobs"),
    ("batch", "jobs"),
    ("policy", "poddisruptionbudgets"),
    (_NETWORKING, "ingresses"),
    (_FLOW, "flowschemas"),
    (_FLOW, "prioritylevelconfigurations"),
    (_ADMISSION, "validatingadmissionpolicies"),
)
#: Kinds whose spec is counted, without a status.
_COUNTED_SPEC: Final = (
    (_NETWORKING, "ingressclasses"),
    (_NETWORKING, "networkpolicies"),
    (_ADMISSION, "validatingadmissionpolicybindings"),
    (_ADMISSION, "mutatingadmissionpolicies"),
    (_ADMISSION, "mutatingadmissionpolicybindings"),
    (_RESOURCE, "deviceclasses"),
    (_RESOURCE, "resourceslices"),
)
#: Kinds with a status, not counted.
_WITH_STATUS: Final = (
    ("", "resourcequotas"),
    ("autoscaling", "horizontalpodautoscalers"),
    (_RESOURCE, "resourceclaims"),
    (_STORAGE, "volumeattachments"),
)

_CREATE: Final[dict[tuple[str, str], Create]] = {
    **dict.fromkeys(_COUNTED, _counted_without_status),
    **dict.fromkeys(_COUNTED_SPEC, _first_generation),
    **dict.fromkeys(_WITH_STATUS, _without_status),
    ("", "limitranges"): objects.create_limit_range,
    ("", "namespaces"): objects.create_namespace,
    ("", "persistentvolumes"): objects.create_persistent_volume,
    ("", "persistentvolumeclaims"): objects.create_claim,
    ("", "pods"): pods.create,
    ("", "podtemplates"): _first_generation,
    ("", "serviceaccounts"): objects.service_account,
    ("", "services"): services.create,
    (_APPS, "daemonsets"): workloads.create_daemon_set,
    (_APPS, "statefulsets"): workloads.create_stateful_set,
    ("batch", "jobs"): workloads.create_job,
    (_ADMISSION, "mutatingwebhookconfigurations"): _first_generation,
    (_ADMISSION, "validatingwebhookconfigurations"): _first_generation,
    (_CERTIFICATES, "certificatesigningrequests"): objects.create_signing_request,
    (_DEFINITIONS, "customresourcedefinitions"): objects.create_definition,
    ("apiregistration.k8s.io", "apiservices"): objects.create_api_service,
    ("discovery.k8s.io", "endpointslices"): _first_generation,
    ("scheduling.k8s.io", "priorityclasses"): _first_generation,
}

_UPDATE: Final[dict[tuple[str, str, str], Update]] = {
    **{(*one, ""): _count_spec_keep_status for one in _COUNTED},
    **{(*one, ""): _count_spec for one in _COUNTED_SPEC},
    **{(*one, ""): _keep_status for one in _WITH_STATUS},
    ("", "namespaces", ""): objects.update_namespace,
    ("", "namespaces", "finalize"): _keep_status,
    ("", "nodes", ""): _keep_status,
    ("", "persistentvolumes", ""): _keep_status,
    ("", "persistentvolumes", "status"): objects.update_persistent_volume_status,
    ("", "persistentvolumeclaims", ""): objects.update_claim,
    ("", "pods", ""): pods.update,
    ("", "pods", "status"): pods.update_status,
    ("", "pods", "ephemeralcontainers"): pods.update_ephemeral_containers,
    ("", "pods", "resize"): pods.update_resize,
    ("", "podtemplates", ""): objects.update_pod_template,
    ("", "serviceaccounts", ""): objects.update_service_account,
    ("", "services", ""): services.update,
    (_APPS, "daemonsets", ""): workloads.update_daemon_set,
    (_APPS, "deployments", ""): workloads.update_deployment,
    (_APPS, "deployments", "status"): workloads.update_deployment_status,
    (_APPS, "statefulsets", ""): workloads.update_stateful_set,
    (_ADMISSION, "mutatingwebhookconfigurations", ""): objects.update_webhooks,
    (_ADMISSION, "validatingwebhookconfigurations", ""): objects.update_webhooks,
    (
        _ADMISSION,
        "validatingadmissionpolicies",
        "status",
    ): objects.update_status_and_keep_metadata,
    (_CERTIFICATES, "certificatesigningrequests", ""): objects.update_signing_request,
    (
        _CERTIFICATES,
        "certificatesigningrequests",
        "status",
    ): objects.update_signing_request_status,
    (
        _CERTIFICATES,
        "certificatesigningrequests",
        "approval",
    ): objects.update_signing_request_approval,
    (_DEFINITIONS, "customresourcedefinitions", ""): objects.update_definition,
    (
        _DEFINITIONS,
        "customresourcedefinitions",
        "status",
    ): objects.update_status_and_keep_metadata,
    ("apiregistration.k8s.io", "apiservices", ""): _keep_status,
    (
        "apiregistration.k8s.io",
        "apiservices",
        "status",
    ): objects.update_status_and_keep_metadata,
    ("discovery.k8s.io", "endpointslices", ""): objects.update_endpoint_slice,
    (_FLOW, "flowschemas", "status"): objects.update_status_and_keep_metadata,
    (_FLOW, "prioritylevelconfigurations", "status"): objects.update_status_and_keep_metadata,
    (_STORAGE, "csidrivers", ""): objects.update_csi_driver,
    (_STORAGE, "volumeattachments", "status"): objects.update_status_and_keep_metadata,
}


def prepare_create(resource: Resource, obj: Object) -> None:
    """Make a new object what it may be created as, in place."""
    clear_system_fields(obj)
    if not resource.builtin:
        custom.create(resource, obj)
        return
    create = _CREATE.get((resource.group, resource.name))
    if create is not None:
        create(obj)
    defaults.apply(resource, obj)
    status = _status_type(resource.group, resource.version, resource.kind)
    if status:
        # A status that was cleared still has what Go always writes (`replicas: 0`).
        obj["status"] = codec.normalize_part(status, obj.get("status") or {})


def prepare_update(resource: Resource, new: Object, old: Object, subresource: str = "") -> None:
    """Make `new` what `old` may become by a write to the resource or to one of its subresources, in
    place; `old` is only read. A `status` without rules of its own keeps the spec."""
    keep_generation(new, old)
    if not resource.builtin:
        if subresource == "status":
            custom.update_status(new, old)
        else:
            custom.update(resource, new, old)
        keep_system_fields(new, old)
        return
    update = _UPDATE.get((resource.group, resource.name, subresource))
    if update is None and subresource == "status":
        update = _keep_spec
    if update is not None:
        update(new, old)
    keep_system_fields(new, old)
    defaults.apply(resource, new)


@functools.cache
def _status_type(group: str, version: str, kind: str) -> str:
    """The type of a kind's status; empty when it has none."""
    type_ = schema.type_of(group, version, kind)
    field = type_.fields.get("status") if type_ else None
    return field.shape.type_name if field else ""


__all__ = ["prepare_create", "prepare_update"]
