"""Custom resources: status only if their definition has the subresource."""

from __future__ import annotations

from kubeinstall.api.resources import Resource
from kubeinstall.api.strategy.generic import bump, metadata, same_besides, set_generation, take
from kubeinstall.api.types import Object


def create(resource: Resource, obj: Object) -> None:
    """Generation 1; no status where it is a subresource."""
    if resource.subresource("status") is not None:
        obj.pop("status", None)
    set_generation(obj, 1)


def update(resource: Resource, new: Object, old: Object) -> None:
    """Everything but metadata (and a status of its own) counts."""
    if resource.subresource("status") is None:
        if not same_besides(new, old, "metadata"):
            bump(new, old)
        return
    take(new, old, "status")
    if not same_besides(new, old, "metadata", "status"):
        bump(new, old)


def update_status(new: Object, old: Object) -> None:
    """Only the status, and who manages which field."""
    status = new.get("status")
    meta = dict(metadata(old))
    take(meta, metadata(new), "managedFields", "resourceVersion")
    for name in [name for name in new if name not in {"apiVersion", "kind"}]:
        del new[name]
    new.update({name: value for name, value in old.items() if name not in {"apiVersion", "kind"}})
    new["metadata"] = meta
    if status is None:
        new.pop("status", None)
    else:
        new["status"] = status
