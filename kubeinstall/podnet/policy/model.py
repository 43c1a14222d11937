"""What policies need to know of pods, and the pods and namespaces that a selector picks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import orjson

from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object

PortName = tuple[str, str, int]  # (name, protocol, number)


@dataclass(frozen=True, slots=True)
class Pod:
    """A running pod with an address of its own (host-network pods are not subject to policies)."""

    namespace: str
    name: str
    node: str
    labels: Mapping[str, str]
    addresses: tuple[str, ...]
    ports: tuple[PortName, ...]

    def __hash__(self) -> int:
        return hash((self.namespace, self.name))


def parse_pod(pod: Object) -> Pod | None:
    """A `Pod`, or None for one that has no address, shares the host's, or has ended."""
    spec, status, meta = pod.get("spec") or {}, pod.get("status") or {}, pod["metadata"]
    if spec.get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
        return None
    addresses = [entry["ip"] for entry in status.get("podIPs") or [] if entry.get("ip")]
    if not addresses and status.get("podIP"):
        addresses = [status["podIP"]]
    if not addresses:
        return None
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    ports = tuple(
        (port["name"], (port.get("protocol") or "TCP").lower(), int(port["containerPort"]))
        for container in containers
        for port in container.get("ports") or []
        if port.get("name")
    )
    return Pod(
        meta["namespace"],
        meta["name"],
        spec.get("nodeName", ""),
        meta.get("labels") or {},
        tuple(addresses),
        ports,
    )


class Cluster:
    """All pods and the labels of namespaces, as policies see them."""

    def __init__(self, pods: Iterable[Pod], namespaces: Mapping[str, Mapping[str, str]]) -> None:
        self.namespaces = namespaces
        self._by_namespace: dict[str, list[Pod]] = {}
        for pod in pods:
            self._by_namespace.setdefault(pod.namespace, []).append(pod)

    def select(self, namespace: str, selector: Object | None) -> list[Pod]:
        """Pods of one namespace; an empty selector takes all."""
        matcher = _selector(orjson.dumps(selector or {}, option=orjson.OPT_SORT_KEYS))
        return [p for p in self._by_namespace.get(namespace, []) if matcher.matches(p.labels)]

    def peers(self, own: str, peer: Object) -> list[Pod]:
        """Pods that a peer with podSelector and/or namespaceSelector means, in a policy of `own`."""
        wanted = peer.get("namespaceSelector")
        if wanted is None:
            return self.select(own, peer.get("podSelector"))
        matcher = _selector(orjson.dumps(wanted, option=orjson.OPT_SORT_KEYS))
        return [
            pod
            for name in self._by_namespace
            if matcher.matches(self.namespaces.get(name, {}))
            for pod in self.select(name, peer.get("podSelector"))
        ]


@lru_cache(maxsize=4096)
def _selector(text: bytes) -> LabelSelector:
    return LabelSelector.from_object(orjson.loads(text))
