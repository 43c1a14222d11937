"""What the scheduler knows of a pod, read once from the API object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from kubeinstall.api.selectors import LabelSelector
from kubeinstall.api.types import Object
from kubeinstall.scheduler.requests import Amounts, pod_nonzero_requests, pod_requests

HostPort = tuple[str, str, int]  # (address, protocol, port)

ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - a value in pod specs, nothing binds to it


@dataclass(frozen=True, slots=True)
class Term:
    """A pod affinity term: pods that `selector` picks in `namespaces`, within a `topology` domain.

    `key` identifies equal terms. `namespace_selector` of None means that only `namespaces` count.
    """

    key: str
    topology: str
    selector: LabelSelector
    namespaces: frozenset[str]
    namespace_selector: LabelSelector | None
    weight: int = 0

    def covers(
        self, namespace: str, labels: Mapping[str, str], namespace_labels: Mapping[str, str]
    ) -> bool:
        """Whether a pod with these labels in this namespace is picked."""
        if namespace not in self.namespaces and not (
            self.namespace_selector is not None
            and self.namespace_selector.matches(namespace_labels)
        ):
            return False
        return self.selector.matches(labels)


@dataclass(frozen=True, slots=True)
class Spread:
    """A topology spread constraint."""

    topology: str
    selector: LabelSelector
    key: str
    max_skew: int
    hard: bool
    min_domains: int
    honor_affinity: bool
    honor_taints: bool


@dataclass(slots=True, eq=False)
class PodInfo:
    """One pod. `shape` is equal for pods that no node can tell apart (names and ownership left out)."""

    obj: Object
    key: str
    uid: str
    name: str
    namespace: str
    labels: dict[str, str]
    scheduler: str
    priority: int
    preempts: bool
    gated: bool
    node: str
    nominated: str
    deleting: bool
    requests: Amounts
    nonzero: tuple[int, int]
    tolerations: list[Object]
    node_selector: dict[str, str]
    node_affinity: Object | None
    node_preferences: list[Object]
    ports: tuple[HostPort, ...]
    images: tuple[str, ...]
    init_images: tuple[str, ...]
    claims: tuple[str, ...]
    affinity: tuple[Term, ...]
    anti_affinity: tuple[Term, ...]
    preferred: tuple[Term, ...]
    spread: tuple[Spread, ...]
    shape: bytes
    volumes: list[Object] = field(default_factory=list)

    @property
    def best_effort(self) -> bool:
        """No cpu or memory is asked for."""
        return not self.requests.get("cpu") and not self.requests.get("memory")


def parse_pod(pod: Object) -> PodInfo:
    """Read a pod. Selectors that cannot be read select nothing (the API server refuses them)."""
    meta, spec = pod["metadata"], pod.get("spec") or {}
    affinity = spec.get("affinity") or {}
    node_affinity = affinity.get("nodeAffinity") or {}
    namespace, labels = meta.get("namespace", ""), meta.get("labels") or {}
    pod_terms = affinity.get("podAffinity") or {}
    anti_terms = affinity.get("podAntiAffinity") or {}
    return PodInfo(
        obj=pod,
        key=f"{namespace}/{meta['name']}",
        uid=meta.get("uid", ""),
        name=meta["name"],
        namespace=namespace,
        labels=labels,
        scheduler=spec.get("schedulerName") or "default-scheduler",
        priority=spec.get("priority") or 0,
        preempts=spec.get("preemptionPolicy") != "Never",
        gated=bool(spec.get("schedulingGates")),
        node=spec.get("nodeName") or "",
        nominated=(pod.get("status") or {}).get("nominatedNodeName") or "",
        deleting=bool(meta.get("deletionTimestamp")),
        requests=pod_requests(pod),
        nonzero=pod_nonzero_requests(pod),
        tolerations=spec.get("tolerations") or [],
        node_selector=spec.get("nodeSelector") or {},
        node_affinity=node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution"),
        node_preferences=node_affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or [],
        ports=_ports(spec),
        images=_images(spec.get("containers")),
        init_images=_images(spec.get("initContainers")),
        claims=_claims(spec, meta["name"]),
        affinity=_terms(
            pod_terms.get("requiredDuringSchedulingIgnoredDuringExecution"), namespace, labels
        ),
        anti_affinity=_terms(
            anti_terms.get("requiredDuringSchedulingIgnoredDuringExecution"), namespace, labels
        ),
        preferred=_preferred(pod_terms, namespace, labels, 1)
        + _preferred(anti_terms, namespace, labels, -1),
        spread=_spread(spec.get("topologySpreadConstraints"), labels),
        shape=_shape(spec, namespace, labels, pod),
        volumes=spec.get("volumes") or [],
    )


def parse_term(term: Object, namespace: str, labels: Mapping[str, str], weight: int = 0) -> Term:
    """Read one affinity term of a pod in `namespace`; matchLabelKeys are merged in as upstream does."""
    selector = (
        dict(term.get("labelSelector") or {}) if term.get("labelSelector") is not None else None
    )
    extra = _keyed(term.get("matchLabelKeys"), labels, "In")
    extra += _keyed(term.get("mismatchLabelKeys"), labels, "NotIn")
    if selector is not None and extra:
        selector["matchExpressions"] = [*(selector.get("matchExpressions") or []), *extra]
    names = frozenset(term.get("namespaces") or [])
    wanted = term.get("namespaceSelector")
    if not names and wanted is None:
        names = frozenset([namespace])
    identity = [selector, sorted(names), wanted, term.get("topologyKey"), weight]
    return Term(
        key=orjson.dumps(identity, option=orjson.OPT_SORT_KEYS).decode(),
        topology=term.get("topologyKey", ""),
        selector=LabelSelector.from_object(selector),
        namespaces=names,
        namespace_selector=None if wanted is None else LabelSelector.from_object(wanted),
        weight=weight,
    )


def _terms(
    terms: list[Object] | None, namespace: str, labels: Mapping[str, str]
) -> tuple[Term, ...]:
    return tuple(parse_term(term, namespace, labels) for term in terms or [])


def _preferred(
    affinity: Object, namespace: str, labels: Mapping[str, str], sign: int
) -> tuple[Term, ...]:
    weighted = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or []
    return tuple(
        parse_term(item["podAffinityTerm"], namespace, labels, sign * item["weight"])
        for item in weighted
    )


def _keyed(
    keys: list[str] | None, labels: Mapping[str, str], operator: str
) -> list[dict[str, Any]]:
    return [
        {"key": key, "operator": operator, "values": [labels[key]]}
        for key in keys or []
        if key in labels
    ]


def _spread(constraints: list[Object] | None, labels: Mapping[str, str]) -> tuple[Spread, ...]:
    return tuple(parse_spread(item, labels) for item in constraints or [])


def parse_spread(constraint: Object, labels: Mapping[str, str]) -> Spread:
    """Read one topology spread constraint."""
    selector = constraint.get("labelSelector")
    extra = _keyed(constraint.get("matchLabelKeys"), labels, "In")
    if selector is not None and extra:
        selector = {
            **selector,
            "matchExpressions": [*(selector.get("matchExpressions") or []), *extra],
        }
    return Spread(
        topology=constraint["topologyKey"],
        selector=LabelSelector.from_object(selector),
        key=orjson.dumps(selector, option=orjson.OPT_SORT_KEYS).decode(),
        max_skew=constraint["maxSkew"],
        hard=constraint.get("whenUnsatisfiable") != "ScheduleAnyway",
        min_domains=constraint.get("minDomains") or 1,
        honor_affinity=constraint.get("nodeAffinityPolicy") != "Ignore",
        honor_taints=constraint.get("nodeTaintsPolicy") == "Honor",
    )


def _ports(spec: Object) -> tuple[HostPort, ...]:
    found = []
    containers = list(spec.get("containers") or [])
    containers += [
        c for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"
    ]
    for container in containers:
        for port in container.get("ports") or []:
            if port.get("hostPort"):
                address = port.get("hostIP") or ANY_ADDRESS
                found.append((address, port.get("protocol") or "TCP", port["hostPort"]))
    return tuple(found)


def ports_conflict(one: HostPort, other: HostPort) -> bool:
    """Same protocol and port, on the same address or where either takes all addresses."""
    if one[1:] != other[1:]:
        return False
    return one[0] == other[0] or ANY_ADDRESS in (one[0], other[0])


def _images(containers: list[Object] | None) -> tuple[str, ...]:
    return tuple(normalized_image(c.get("image") or "") for c in containers or [])


def normalized_image(name: str) -> str:
    """With the tag `latest` where there is none, as nodes report images."""
    if name.rfind(":") <= name.rfind("/") and "@" not in name:
        return f"{name}:latest"
    return name


def _claims(spec: Object, pod_name: str) -> tuple[str, ...]:
    names = []
    for volume in spec.get("volumes") or []:
        if "persistentVolumeClaim" in volume:
            names.append(volume["persistentVolumeClaim"]["claimName"])
        elif "ephemeral" in volume:
            names.append(f"{pod_name}-{volume['name']}")
    return tuple(names)


_PER_CONTAINER = ("image", "resources", "ports", "restartPolicy")
_PER_POD = (
    "affinity", "nodeSelector", "tolerations", "overhead", "resources", "topologySpreadConstraints",
)  # fmt: skip


def _shape(spec: Object, namespace: str, labels: Mapping[str, str], pod: Object) -> bytes:
    parts: dict[str, Any] = {key: spec[key] for key in _PER_POD if key in spec}
    for group in ("containers", "initContainers"):
        parts[group] = [
            {key: container[key] for key in _PER_CONTAINER if key in container}
            for container in spec.get(group) or []
        ]
    parts["identity"] = [namespace, labels]
    if _claims(spec, ""):
        parts["claims"] = pod["metadata"]["name"]
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
