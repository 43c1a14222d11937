"""Spreading of pods that say nothing about it: by what selects them, as upstream's system defaults.

A pod of a Service, ReplicaSet, StatefulSet or ReplicationController is spread over hosts (skew 3) and
zones (skew 5) together with its like, as a wish.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from kubeinstall.scheduler.pod import PodInfo, Spread, parse_spread
from kubeinstall.scheduler.spread import HOSTNAME, ZONE
from kubeinstall.scheduler.volumes import Store

_OWNERS = {
    "ReplicaSet": "replicasets",
    "StatefulSet": "statefulsets",
    "ReplicationController": "replicationcontrollers",
}


class DefaultSpread:
    """Finds the selectors; `services` and `owners` (by resource) are local copies."""

    def __init__(self, services: Store, owners: Mapping[str, Store]) -> None:
        self._services = services
        self._owners = owners

    def __call__(self, pod: PodInfo) -> tuple[Spread, ...]:
        """The constraints, none when nothing selects the pod."""
        labels: dict[str, str] = {}
        expressions: list[Any] = []
        for service in self._services.list(pod.namespace):
            selector = service["spec"].get("selector")
            if selector and selector.items() <= pod.labels.items():
                labels.update(selector)
        for owner in pod.obj["metadata"].get("ownerReferences") or []:
            resource = _OWNERS.get(owner.get("kind", ""))
            if resource is None or not owner.get("controller"):
                continue
            found = self._owners[resource].get(owner["name"], pod.namespace)
            selector = (found or {}).get("spec", {}).get("selector") or {}
            if resource == "replicationcontrollers":
                labels.update(selector)
            else:
                labels.update(selector.get("matchLabels") or {})
                expressions += selector.get("matchExpressions") or []
        if not labels and not expressions:
            return ()
        selected = {"matchLabels": labels, "matchExpressions": expressions}
        return _constraints(orjson.dumps(selected, option=orjson.OPT_SORT_KEYS))


@lru_cache(maxsize=4096)
def _constraints(selector: bytes) -> tuple[Spread, ...]:
    parsed = orjson.loads(selector)
    return tuple(
        parse_spread(
            {
                "topologyKey": topology,
                "maxSkew": skew,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": parsed,
            },
            {},
        )
        for topology, skew in ((HOSTNAME, 3), (ZONE, 5))
    )
