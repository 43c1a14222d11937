"""Pods: create, update and their status, ephemeralcontainers and resize subresources."""

from __future__ import annotations

from typing import Any, Final

from kubeinstall.api import times
from kubeinstall.api.quantity import Quantity
from kubeinstall.api.strategy.generic import (
    bump,
    keep_metadata_for_status,
    metadata,
    same,
    set_generation,
    take,
)
from kubeinstall.api.types import Object

_COMPUTE: Final = ("cpu", "memory")
_APPARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
_AFFINITIES: Final = ("podAffinity", "podAntiAffinity")
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"


def create(obj: Object) -> None:
    """A new pod is pending; its quality of service follows from its resources."""
    set_generation(obj, 1)
    spec = obj.get("spec") or {}
    status: Object = {"phase": "Pending", "qosClass": qos_class(spec)}
    if spec.get("schedulingGates"):
        status["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "lastProbeTime": None,
                "lastTransitionTime": times.now(),
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }
        ]
    obj["status"] = status
    labels = metadata(obj).get("labels") or {}
    _match_label_keys(spec, labels)
    _apparmor(obj, spec)


def update(new: Object, old: Object) -> None:
    """An update of the pod itself leaves its status."""
    take(new, old, "status")
    _count(new, old)


def update_status(new: Object, old: Object) -> None:
    """A kubelet's report: spec and owners stay."""
    take(new, old, "spec")
    take(metadata(new), metadata(old), "ownerReferences", "deletionTimestamp")
    status, before = new.get("status") or {}, old.get("status") or {}
    # Clients from before these fields send none: theirs is not a request to drop them.
    if "observedGeneration" not in status and "observedGeneration" in before:
        status["observedGeneration"] = before["observedGeneration"]
    _keep_condition_generations(status, before)
    if not status.get("qosClass") and before.get("qosClass"):
        status["qosClass"] = before["qosClass"]
    new["status"] = status


def _keep_condition_generations(status: Object, before: Object) -> None:
    """A condition without a generation keeps that of the earlier one of its type."""
    known: dict[Any, list[int | None]] = {}
    for condition in before.get("conditions") or ():
        known.setdefault(condition.get("type"), []).append(condition.get("observedGeneration"))
    for condition in status.get("conditions") or ():
        earlier = known.get(condition.get("type"))
        generation = earlier.pop(0) if earlier else None
        if generation and not condition.get("observedGeneration"):
            condition["observedGeneration"] = generation


def update_ephemeral_containers(new: Object, old: Object) -> None:
    """Only the ephemeral containers change."""
    spec = dict(old.get("spec") or {})
    take(spec, new.get("spec") or {}, "ephemeralContainers")
    _only_spec(new, old, spec)


def update_resize(new: Object, old: Object) -> None:
    """Only the containers' resources and resize policies change, and the pod's resources where it has its own.

    Containers that were added, removed, renamed or moved are left for validation to refuse.
    """
    spec = dict(old.get("spec") or {})
    wanted = new.get("spec") or {}
    names = ("containers", "initContainers")
    if all(len(wanted.get(name) or ()) == len(spec.get(name) or ()) for name in names):
        for name in names:
            if spec.get(name):
                spec[name] = _resized(spec[name], wanted[name])
        if spec.get("resources"):
            take(spec, wanted, "resources")
        _only_spec(new, old, spec)
    else:
        _count(new, old)


def _resized(containers: list[Object], wanted: list[Object]) -> list[Object]:
    if [one.get("name") for one in containers] != [one.get("name") for one in wanted]:
        return wanted
    resized = []
    for container, change in zip(containers, wanted, strict=True):
        one = dict(container)
        take(one, change, "resources", "resizePolicy")
        resized.append(one)
    return resized


def _only_spec(new: Object, old: Object, spec: Object) -> None:
    """Nothing of `new` but this spec differs from `old`."""
    new["spec"] = spec
    take(new, old, "status")
    keep_metadata_for_status(new, old)
    _count(new, old)


def _count(new: Object, old: Object) -> None:
    if not same(new, old, "spec"):
        bump(new, old)


def qos_class(spec: Object) -> str:
    """BestEffort, Burstable or Guaranteed, from the pod's own resources or its containers'."""
    own = spec.get("resources") or {}
    if own.get("requests") or own.get("limits"):
        everyone = [own]
    else:
        containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
        everyone = [one.get("resources") or {} for one in containers]
    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}
    guaranteed = True
    for resources in everyone:
        _collect(requests, resources.get("requests"))
        found = _collect(limits, resources.get("limits"))
        guaranteed = guaranteed and found == len(_COMPUTE)
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if guaranteed and requests == limits else "Burstable"


def _collect(total: dict[str, Quantity], resources: Any) -> int:
    """Add the positive compute resources to `total`; returns how many there were."""
    found = 0
    for name in _COMPUTE:
        text = (resources or {}).get(name)
        if text is None:
            continue
        amount = Quantity.parse(text)
        if amount.nano > 0:
            found += 1
            total[name] = total[name] + amount if name in total else amount
    return found


def _match_label_keys(spec: Object, labels: dict[str, str]) -> None:
    """Keys become requirements of the selectors beside them, with the pod's own values."""
    affinity = spec.get("affinity") or {}
    for kind in _AFFINITIES:
        terms = affinity.get(kind) or {}
        for term in terms.get(_REQUIRED) or ():
            _require(term, labels)
        for weighted in terms.get(_PREFERRED) or ():
            _require(weighted.get("podAffinityTerm") or {}, labels)
    for constraint in spec.get("topologySpreadConstraints") or ():
        _require(constraint, labels)


def _require(term: Object, labels: dict[str, str]) -> None:
    selector = term.get("labelSelector")
    if selector is None:
        return
    for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
        for key in term.get(field) or ():
            if key in labels:
                requirement = {"key": key, "operator": operator, "values": [labels[key]]}
                expressions = list(selector.get("matchExpressions") or ())
                selector["matchExpressions"] = [*expressions, requirement]


def _apparmor(obj: Object, spec: Object) -> None:
    """AppArmor profiles of the annotations that old clients set become fields."""
    annotations = metadata(obj).get("annotations") or {}
    if (spec.get("os") or {}).get("name") == "windows":
        return
    pod_profile = (spec.get("securityContext") or {}).get("appArmorProfile")
    for name in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(name) or ():
            annotation = annotations.get(f"{_APPARMOR}{container.get('name', '')}")
            context = container.get("securityContext") or {}
            if annotation is None or context.get("appArmorProfile") is not None:
                continue
            profile = _profile(annotation)
            if profile is not None and profile != pod_profile:
                container["securityContext"] = {**context, "appArmorProfile": profile}


def _profile(annotation: str) -> Object | None:
    simple = {"unconfined": "Unconfined", "runtime/default": "RuntimeDefault"}.get(annotation)
    if simple is not None:
        return {"type": simple}
    prefix, _, name = annotation.partition("/")
    if prefix == "localhost" and name:
        return {"type": "Localhost", "localhostProfile": name}
    return None
