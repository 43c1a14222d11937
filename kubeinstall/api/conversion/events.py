"""Events: core/v1 and events.k8s.io/v1 hold the same under other names."""

from __future__ import annotations

from typing import Final

from kubeinstall.api.types import Object

_CORE_TO_NEW: Final = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_NEW_TO_CORE: Final = {new: core for core, new in _CORE_TO_NEW.items()}


def from_core(obj: Object) -> Object:
    """events.k8s.io/v1 of a core event."""
    return {_CORE_TO_NEW.get(name, name): value for name, value in obj.items()}


def to_core(obj: Object) -> Object:
    """The core event of an events.k8s.io/v1 one."""
    return {_NEW_TO_CORE.get(name, name): value for name, value in obj.items()}
