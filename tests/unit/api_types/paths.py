"""From the path of a recorded request to the resource it speaks of."""

from __future__ import annotations

from kubeinstall.api import resources


def resource_of(path: str) -> resources.Resource | None:
    """The resource of a collection's path; None for anything else."""
    parts = path.partition("?")[0].strip("/").split("/")
    group, version, rest = "", parts[1], parts[2:]
    if parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    return resources.find(group, version, rest[0]) if len(rest) == 1 else None


def find(group: str, version: str, name: str) -> resources.Resource:
    """A resource that must exist."""
    found = resources.find(group, version, name)
    assert found is not None
    return found
