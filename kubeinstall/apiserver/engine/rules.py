"""What differs between resources in how they may be written, as upstream's strategies say."""

from __future__ import annotations

from typing import Final

from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object

_RBAC: Final = "rbac.authorization.k8s.io"

#: `AllowCreateOnUpdate`: a PUT of what is not there creates it.
_CREATED_BY_UPDATE: Final = frozenset(
    {
        ("", "endpoints"),
        ("", "events"),
        ("", "limitranges"),
        ("", "services"),
        ("certificates.k8s.io", "certificatesigningrequests"),
        ("coordination.k8s.io", "leases"),
        (_RBAC, "roles"),
        (_RBAC, "rolebindings"),
        (_RBAC, "clusterroles"),
        (_RBAC, "clusterrolebindings"),
    }
)

#: Not `AllowUnconditionalUpdate`: a PUT must carry the resourceVersion.
_CONDITIONAL: Final = frozenset(
    {
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
        ("admissionregistration.k8s.io", "mutatingadmissionpolicies"),
        ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("apiregistration.k8s.io", "apiservices"),
        ("coordination.k8s.io", "leases"),
        ("node.k8s.io", "runtimeclasses"),
        ("policy", "poddisruptionbudgets"),
        ("storage.k8s.io", "csidrivers"),
        ("storage.k8s.io", "csinodes"),
        ("storage.k8s.io", "volumeattachments"),
    }
)

#: `ReturnDeletedObject`: a DELETE answers with the object, not with a Status.
_RETURNED_WHEN_DELETED: Final = frozenset(
    {
        ("", "persistentvolumeclaims"),
        ("", "persistentvolumes"),
        ("", "pods"),
        ("", "podtemplates"),
        ("", "resourcequotas"),
        ("", "serviceaccounts"),
        ("", "services"),
        ("storage.k8s.io", "csidrivers"),
        ("storage.k8s.io", "csinodes"),
        ("storage.k8s.io", "csistoragecapacities"),
        ("storage.k8s.io", "storageclasses"),
        ("storage.k8s.io", "volumeattachments"),
        ("storage.k8s.io", "volumeattributesclasses"),
    }
)

#: Their dependents are left alone unless the deleter says otherwise.
_ORPHAN_BY_DEFAULT: Final = frozenset({("", "replicationcontrollers"), ("batch", "jobs")})
#: `GarbageCollectionPolicy` Unsupported.
_NO_COLLECTION: Final = frozenset({("", "events")})


_CLEANUP: Final = {
    ("apiextensions.k8s.io", "customresourcedefinitions"): (
        "customresourcecleanup.apiextensions.k8s.io"
    ),
}


def _name(resource: Resource) -> tuple[str, str]:
    return resource.group, resource.name


def allows_create_on_update(resource: Resource) -> bool:
    """Whether a PUT may create."""
    return _name(resource) in _CREATED_BY_UPDATE


def allows_unconditional_update(resource: Resource) -> bool:
    """Whether a PUT without resourceVersion is taken."""
    return resource.builtin and _name(resource) not in _CONDITIONAL


def returns_deleted(resource: Resource) -> bool:
    """Whether a DELETE answers with what it deleted."""
    return _name(resource) in _RETURNED_WHEN_DELETED


def orphans_by_default(resource: Resource) -> bool:
    """Whether dependents stay when the deleter does not say."""
    return _name(resource) in _ORPHAN_BY_DEFAULT


def cleanup_finalizer(resource: Resource) -> str:
    """The finalizer that a DELETE adds, for what must be cleaned up before the object goes."""
    return _CLEANUP.get(_name(resource), "")


def collects_garbage(resource: Resource) -> bool:
    """Whether dependents matter at all."""
    return _name(resource) not in _NO_COLLECTION


def delete_during_update(resource: Resource, new: Object, old: Object) -> bool:
    """Whether the last finalizer went away with this update: the object goes as well."""
    if new["metadata"].get("finalizers") or not old["metadata"].get("deletionTimestamp"):
        return False
    if resource.kind == "Namespace" and (new.get("spec") or {}).get("finalizers"):
        return False
    return not old["metadata"].get("deletionGracePeriodSeconds")
