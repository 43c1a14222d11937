"""What a webhook or policy made of an object, as the engine keeps objects."""

from __future__ import annotations

from kubeinstall.api import codec, defaults
from kubeinstall.api.types import Object
from kubeinstall.apiserver import wire
from kubeinstall.apiserver.admission.webhooks.matching import Seen
from kubeinstall.apiserver.request import AdmissionAttributes


def settled(attributes: AdmissionAttributes, seen: Seen, changed: Object) -> Object:
    """A patched object as the engine keeps it: typed, defaulted, of the storage version."""
    served, current = seen.served, attributes.object or {}
    if attributes.subresource == "scale":
        from kubeinstall.apiserver.handlers.scale import with_replicas

        replicas = (changed.get("spec") or {}).get("replicas", 0)
        return with_replicas(served.storage, current, replicas)
    if seen.kind.kind != served.resource.kind or not served.stored:
        return {
            **changed,
            **{key: current[key] for key in ("kind", "apiVersion") if key in current},
        }
    resource = served.resource
    if resource.custom is not None:
        resource.custom.prune(changed)
    new = codec.normalize(resource, changed)
    defaults.apply(resource, new)
    return wire.to_storage(served, new)
