"""Volumes' claims, in their own right and inside of pods and StatefulSets."""

from __future__ import annotations

from kubeinstall.api.defaults.common import fill, fill_empty, part, round_resources
from kubeinstall.api.types import Object


def claim(obj: Object) -> None:
    """A PersistentVolumeClaim."""
    status = part(obj, "status")
    fill_empty(status, {"phase": "Pending"})
    round_resources(status.get("capacity"))
    round_resources(status.get("allocatedResources"))
    claim_spec(part(obj, "spec"))


def claim_spec(spec: Object) -> None:
    """The spec of a claim or of a claim template."""
    fill(spec, {"volumeMode": "Filesystem"})
    resources = spec.get("resources")
    if resources:
        round_resources(resources.get("limits"))
        round_resources(resources.get("requests"))
