"""How fast nodes of a zone may be tainted NoExecute: slower, or not at all, when many are ill.

When half a zone is silent, the trouble is more likely the network than the nodes, and evicting
everything would make it worse.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from kubeinstall.api.types import Object
from kubeinstall.controllers.common.owners import labels_of
from kubeinstall.controllers.common.pods import ready
from kubeinstall.controllers.config import ControllerManagerSettings


def zone_of(node: Object) -> str:
    """`region:\\0:zone` of a node, "" when it has neither."""
    labels = labels_of(node)
    region = labels.get("topology.kubernetes.io/region", "")
    zone = labels.get("topology.kubernetes.io/zone", "")
    return f"{region}:\0:{zone}" if region or zone else ""


@dataclass(slots=True)
class _Pace:
    next_at: float = 0.0


class ZonePacer:
    """Says when a node may be tainted."""

    def __init__(self, settings: ControllerManagerSettings) -> None:
        self._settings = settings
        self._paces: dict[str, _Pace] = {}

    def wait(self, node: Object, nodes: list[Object]) -> float | None:
        """0 when the node may be tainted now, else seconds to wait; None while eviction is off."""
        rate = self._rate(zone_of(node), nodes)
        if rate <= 0:
            return None
        pace = self._paces.setdefault(zone_of(node), _Pace())
        now = time.monotonic()
        if pace.next_at > now:
            return pace.next_at - now
        pace.next_at = now + 1 / rate
        return 0.0

    def all_disrupted(self, nodes: list[Object]) -> bool:
        """No node of any zone is ready: more likely that we are cut off than that all have died."""
        return bool(nodes) and not any(ready(node) for node in nodes)

    def _rate(self, zone: str, nodes: list[Object]) -> float:
        members = [node for node in nodes if zone_of(node) == zone]
        bad = sum(1 for node in members if not ready(node))
        settings = self._settings
        if self.all_disrupted(nodes):
            return 0.0
        if bad == len(members):
            return settings.node_eviction_rate
        if bad > 2 and bad / len(members) >= settings.unhealthy_zone_threshold:
            large = len(members) > settings.large_cluster_size_threshold
            return settings.secondary_node_eviction_rate if large else 0.0
        return settings.node_eviction_rate
