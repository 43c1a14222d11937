"""Strategies of single kinds that are more than "no status, count the spec"."""

from __future__ import annotations

import uuid
from typing import Any, Final

from kubeinstall.api import times
from kubeinstall.api.strategy.generic import (
    bump,
    keep_metadata_for_status,
    metadata,
    same,
    same_besides,
    set_generation,
    take,
)
from kubeinstall.api.types import Object

_KUBERNETES: Final = "kubernetes"
_DECISIONS: Final = ("Approved", "Denied")
_REQUESTER: Final = ("username", "uid", "groups", "extra")


def create_namespace(obj: Object) -> None:
    """Active, with upstream's own finalizer in its spec."""
    obj["status"] = {"phase": "Active"}
    spec = obj.setdefault("spec", {})
    finalizers = spec.get("finalizers") or []
    if _KUBERNETES not in finalizers:
        spec["finalizers"] = [*finalizers, _KUBERNETES]


def update_namespace(new: Object, old: Object) -> None:
    """Finalizers of the spec go only through `finalize`."""
    take(new.setdefault("spec", {}), old.get("spec") or {}, "finalizers")
    take(new, old, "status")


def create_persistent_volume(obj: Object) -> None:
    """Pending, since now."""
    obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": times.now()}


def update_persistent_volume_status(new: Object, old: Object) -> None:
    """Remember when the phase changed."""
    take(new, old, "spec")
    status, before = new.setdefault("status", {}), old.get("status") or {}
    since = status.get("lastPhaseTransitionTime")
    if since is None or since == before.get("lastPhaseTransitionTime"):
        if status.get("phase") == before.get("phase"):
            take(status, before, "lastPhaseTransitionTime")
        else:
            status["lastPhaseTransitionTime"] = times.now()


def create_claim(obj: Object) -> None:
    """A PersistentVolumeClaim is pending; both forms of its data source say the same."""
    obj["status"] = {"phase": "Pending"}
    _data_sources(obj.setdefault("spec", {}))


def update_claim(new: Object, old: Object) -> None:
    """As on create, with the old status."""
    take(new, old, "status")
    _data_sources(new.setdefault("spec", {}))


def _data_sources(spec: Object) -> None:
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None and reference is None:
        spec["dataSourceRef"] = dict(source)
    elif reference is not None and source is None and not reference.get("namespace"):
        spec["dataSource"] = {
            name: value for name, value in reference.items() if name != "namespace"
        }


def create_limit_range(obj: Object) -> None:
    """A LimitRange may come without a name."""
    meta = metadata(obj)
    if not meta.get("name"):
        meta["name"] = str(uuid.uuid4())


def service_account(obj: Object) -> None:
    """A ServiceAccount's secrets are known by their names only."""
    secrets = obj.get("secrets")
    if secrets:
        obj["secrets"] = [{"name": one["name"]} if one.get("name") else {} for one in secrets]


def update_service_account(new: Object, _old: Object) -> None:
    """As on create."""
    service_account(new)


def update_endpoint_slice(new: Object, old: Object) -> None:
    """Everything but metadata counts, and labels too."""
    if not (same_besides(new, old, "metadata") and same(metadata(new), metadata(old), "labels")):
        bump(new, old)


def update_pod_template(new: Object, old: Object) -> None:
    """The template counts."""
    if not same(new, old, "template"):
        bump(new, old)


def update_webhooks(new: Object, old: Object) -> None:
    """A webhook configuration has no spec: its webhooks count."""
    if not same(new, old, "webhooks"):
        bump(new, old)


def update_csi_driver(new: Object, old: Object) -> None:
    """Only what may change counts."""
    names = ("tokenRequests", "requiresRepublish", "seLinuxMount")
    if not same(new.get("spec") or {}, old.get("spec") or {}, *names):
        bump(new, old)


def create_definition(obj: Object) -> None:
    """A CustomResourceDefinition records which version it stores."""
    obj["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}}
    set_generation(obj, 1)
    _record_stored_version(obj)


def update_definition(new: Object, old: Object) -> None:
    """The status stays, but for the stored version."""
    take(new, old, "status")
    if not same(new, old, "spec"):
        bump(new, old)
    _record_stored_version(new)


def _record_stored_version(obj: Object) -> None:
    status = obj["status"] = dict(obj.get("status") or {})
    stored: list[Any] = list(status.get("storedVersions") or ())
    for version in (obj.get("spec") or {}).get("versions") or ():
        if version.get("storage") and version.get("name") not in stored:
            stored.append(version.get("name"))
    status["storedVersions"] = stored or None


def create_api_service(obj: Object) -> None:
    """An APIService without a service is served here, and so available at once."""
    obj["status"] = {}
    if (obj.get("spec") or {}).get("service") is None:
        condition = {
            "type": "Available",
            "status": "True",
            "lastTransitionTime": times.now(),
            "reason": "Local",
            "message": "Local APIServices are always available",
        }
        obj["status"] = {"conditions": [condition]}


def create_signing_request(obj: Object) -> None:
    """Nobody creates an approved request, or one in another's name: the server says who asks, after
    this, from the request's user."""
    obj["status"] = {}
    spec = obj.setdefault("spec", {})
    for name in _REQUESTER:
        spec.pop(name, None)


def update_signing_request(new: Object, old: Object) -> None:
    """Neither spec nor status changes by an update."""
    take(new, old, "spec", "status")


def update_signing_request_status(new: Object, old: Object) -> None:
    """The certificate and failures; decisions stay as they are, for validation to see if some were
    added or removed."""
    take(new, old, "spec")
    status, before = new.setdefault("status", {}), old.get("status") or {}
    conditions = list(status.get("conditions") or ())
    for kind in _DECISIONS:
        known = [one for one in before.get("conditions") or () if one.get("type") == kind]
        places = [place for place, one in enumerate(conditions) if one.get("type") == kind]
        if len(known) == len(places):
            for place, one in zip(places, known, strict=True):
                conditions[place] = one
    _set_conditions(status, before, conditions)


def update_signing_request_approval(new: Object, old: Object) -> None:
    """Only conditions."""
    take(new, old, "spec")
    status, before = new.setdefault("status", {}), old.get("status") or {}
    take(status, before, "certificate")
    _set_conditions(status, before, list(status.get("conditions") or ()))


def _set_conditions(status: Object, before: Object, conditions: list[Object]) -> None:
    """Set them with their times filled in: now, or those of an equal earlier condition."""
    now = times.now()
    earlier = {
        (one.get("type"), one.get("status")): one.get("lastTransitionTime")
        for one in before.get("conditions") or ()
    }
    filled = []
    for one in conditions:
        known = earlier.get((one.get("type"), one.get("status")))
        filled.append(
            {
                **one,
                "lastUpdateTime": one.get("lastUpdateTime") or now,
                "lastTransitionTime": one.get("lastTransitionTime") or known or now,
            }
        )
    status.pop("conditions", None)
    if filled:
        status["conditions"] = filled


def update_status_and_keep_metadata(new: Object, old: Object) -> None:
    """A write to status that changes no metadata that users own."""
    take(new, old, "spec")
    keep_metadata_for_status(new, old)
