"""Semantic validation: what upstream's strategies refuse, with its words, after decoding, defaulting and admission.

Objects are in their storage version. The result is a list of field errors in upstream's order; an empty list means that
the object is good. `errors.Invalid(group, kind, name, errors)` makes the answer of it.
"""

from __future__ import annotations

from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.metadata import check_metadata, check_metadata_update
from kubeinstall.api.validation.pod import pod
from kubeinstall.api.validation.rules import rules_for
from kubeinstall.api.validation.warnings import warnings
from kubeinstall.errors import FieldError

__all__ = ["validate_create", "validate_create_only", "validate_update", "warnings"]

_GENERIC_METADATA = frozenset({"apiextensions.k8s.io", "apiregistration.k8s.io"})
_POD_SUBRESOURCES = {
    "status": pod.check_status_update,
    "ephemeralcontainers": pod.check_ephemeral_update,
    "resize": pod.check_resize_update,
}


def validate_create(resource: Resource, obj: Object) -> list[FieldError]:
    """Errors of a new object."""
    rules = rules_for(resource.group, resource.kind)
    errors = Errors()
    check_metadata(
        errors,
        obj.setdefault("metadata", {}),
        namespaced=resource.namespaced,
        name=rules.name,
        core=_is_core(resource),
    )
    rules.create(errors, obj)
    if resource.custom is not None:
        errors.extend(resource.custom.validate(obj))
    return errors


def validate_create_only(resource: Resource, obj: Object) -> list[FieldError]:
    """Errors of an object that is never stored and needs no name: reviews, TokenRequest, Scale."""
    errors = Errors()
    rules_for(resource.group, resource.kind).create(errors, obj)
    return errors


def validate_update(
    resource: Resource, new: Object, old: Object, subresource: str = ""
) -> list[FieldError]:
    """Errors of an update, of the resource itself or of a subresource ("status", "scale", "resize", …)."""
    rules = rules_for(resource.group, resource.kind)
    errors = Errors()
    # Twice, as upstream: once for every kind (rest.BeforeUpdate), once by the kind's own strategy.
    for _ in range(2):
        check_metadata_update(errors, new["metadata"], old["metadata"])
    if errors:
        return errors
    check_metadata(
        errors,
        new["metadata"],
        namespaced=resource.namespaced,
        name=_existing_name,
        core=_is_core(resource),
    )
    if subresource == "binding":
        return errors  # upstream's binding writes the node's name past the strategy of pods
    if resource.custom is not None:
        errors.extend(resource.custom.validate(new, old))
    elif (resource.group, resource.name) == ("", "pods") and subresource in _POD_SUBRESOURCES:
        _POD_SUBRESOURCES[subresource](errors, new, old)
    elif subresource == "status":
        if rules.status is not None:
            rules.status(errors, new)
    elif rules.update is not None:
        rules.update(errors, new, old)
    else:
        rules.create(errors, new)
    return errors


def _is_core(resource: Resource) -> bool:
    """Whether upstream validates the kind's finalizers with the rules of its core kinds."""
    return resource.builtin and resource.group not in _GENERIC_METADATA


def _existing_name(_name: str) -> list[str]:
    """The name of an object that exists has been checked when it was made."""
    return []
