"""Which nodes a DaemonSet's pods belong on, and the pods that go there."""

from __future__ import annotations

import copy
from typing import NamedTuple

from kubeinstall.api.types import Object
from kubeinstall.controllers.common import node_affinity, owners, taints
from kubeinstall.controllers.common.podcontrol import pod_from_template

HASH_LABEL = "controller-revision-hash"
GENERATION_LABEL = "pod-template-generation"
GENERATION_ANNOTATION = "deprecated.daemonset.template.generation"
_HARD = frozenset({"NoSchedule", "NoExecute"})
_EXECUTE = frozenset({"NoExecute"})


class Fit(NamedTuple):
    """A pod should be started on the node; a pod that is there may stay."""

    run: bool
    keep: bool


def tolerations(daemon_set: Object) -> list[Object]:
    """The template's tolerations and those that every daemon pod has."""
    spec = daemon_set["spec"]["template"].get("spec") or {}
    added = [
        (taints.NOT_READY, "NoExecute"),
        (taints.UNREACHABLE, "NoExecute"),
        (taints.DISK_PRESSURE, "NoSchedule"),
        (taints.MEMORY_PRESSURE, "NoSchedule"),
        (taints.PID_PRESSURE, "NoSchedule"),
        (taints.UNSCHEDULABLE, "NoSchedule"),
    ]
    if spec.get("hostNetwork"):
        added.append((taints.NETWORK_UNAVAILABLE, "NoSchedule"))
    result = copy.deepcopy(spec.get("tolerations") or [])
    for key, effect in added:
        new = {"key": key, "operator": "Exists", "effect": effect}
        if new not in result:
            result.append(new)
    return result


def fits(daemon_set: Object, node: Object) -> Fit:
    """Judge one node by name, selectors, affinity and taints."""
    spec = daemon_set["spec"]["template"].get("spec") or {}
    wanted = spec.get("nodeName")
    if wanted and wanted != node["metadata"]["name"]:
        return Fit(False, False)
    if not node_affinity.matches(spec, node):
        return Fit(False, False)
    found = taints.taints_of(node)
    accepted = tolerations(daemon_set)
    if taints.untolerated(found, accepted, _HARD) is None:
        return Fit(True, True)
    return Fit(False, taints.untolerated(found, accepted, _EXECUTE) is None)


def new_pod(daemon_set: Object, node: str, revision_hash: str) -> Object:
    """The pod for one node. The scheduler binds it: affinity names the node."""
    meta = daemon_set["metadata"]
    reference = owners.new_controller_ref(daemon_set, "apps/v1", "DaemonSet")
    template = daemon_set["spec"]["template"]
    pod = pod_from_template(template, meta["namespace"], reference, meta["name"])
    labels = pod["metadata"].setdefault("labels", {})
    labels[HASH_LABEL] = revision_hash
    if generation := (meta.get("annotations") or {}).get(GENERATION_ANNOTATION):
        labels[GENERATION_LABEL] = generation
    spec = pod["spec"]
    spec["tolerations"] = tolerations(daemon_set)
    _pin(spec, node)
    return pod


def _pin(spec: Object, node: str) -> None:
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    required = affinity.setdefault("requiredDuringSchedulingIgnoredDuringExecution", {})
    # The template's terms were judged for this node already: one term that names it says all.
    required["nodeSelectorTerms"] = [{"matchFields": [field]}]


def target_node(pod: Object) -> str:
    """The node that a daemon pod is for: bound to it, or pinned to it by affinity."""
    spec = pod["spec"]
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            values = field.get("values") or []
            if field.get("key") == "metadata.name" and len(values) == 1:
                return str(values[0])
    return ""
