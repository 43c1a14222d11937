"""The two kinds that one control loop serves: ReplicaSet, and its ancestor ReplicationController."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object


@dataclass(frozen=True, slots=True)
class ReplicaKind:
    """Where such objects are, and how their selector is written."""

    gvr: str
    api_version: str
    kind: str
    selector: Callable[[Object], LabelSelector]


def _set_selector(obj: Object) -> LabelSelector:
    return LabelSelector.from_object(obj["spec"].get("selector") or {})


def _map_selector(obj: Object) -> LabelSelector:
    return LabelSelector.from_object({"matchLabels": obj["spec"].get("selector") or {}})


REPLICA_SET = ReplicaKind("apps/v1/replicasets", "apps/v1", "ReplicaSet", _set_selector)
REPLICATION_CONTROLLER = ReplicaKind(
    "v1/replicationcontrollers", "v1", "ReplicationController", _map_selector
)
