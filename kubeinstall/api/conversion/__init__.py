"""Objects between the served versions of one resource.

Of the resources served by default two have another version than the stored one: autoscaling/v1
(stored as v2) and events.k8s.io/v1 events (stored as core events).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kubeinstall.api import codec
from kubeinstall.api.conversion import autoscalers, events
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.errors import InternalError

_CONVERTERS: Final[dict[tuple[str, str, str], Callable[[Object], Object]]] = {
    ("HorizontalPodAutoscaler", "autoscaling/v1", "autoscaling/v2"): autoscalers.to_v2,
    ("HorizontalPodAutoscaler", "autoscaling/v2", "autoscaling/v1"): autoscalers.to_v1,
    ("Event", "v1", "events.k8s.io/v1"): events.from_core,
    ("Event", "events.k8s.io/v1", "v1"): events.to_core,
}


def convert(obj: Object, source: Resource, target: Resource) -> Object:
    """`obj` of `source`'s version in `target`'s, with its kind and apiVersion; `obj` stays as it is.

    Custom resources without a conversion webhook change their apiVersion only, as upstream's
    strategy None. Raises InternalError for versions that nothing converts between.
    """
    if source.api_version == target.api_version:
        return obj
    if not source.builtin:
        return {**obj, "apiVersion": target.api_version}
    converter = _CONVERTERS.get((source.kind, source.api_version, target.api_version))
    if converter is None:
        raise InternalError(
            f"{source.kind} cannot be converted from {source.api_version} to {target.api_version}"
        )
    converted = codec.normalize(target, converter(obj))
    converted["kind"], converted["apiVersion"] = target.kind, target.api_version
    return converted


__all__ = ["convert"]
