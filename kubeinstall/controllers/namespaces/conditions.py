"""The conditions of a namespace that is being deleted, in upstream's words."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.controllers.common import conditions
from kubeinstall.controllers.namespaces.content import Remains

_PREFIX = "NamespaceDeletion"


def update(status: Object, remains: Remains) -> Object:
    """The status with the five deletion conditions."""
    listed = list(status.get("conditions") or [])
    for made in (
        _discovery(remains),
        _made(
            "NamespaceDeletionGroupVersionParsingFailure",
            "",
            "",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        _content(remains),
        _resources(remains),
        _finalizers(remains),
    ):
        current = conditions.find(listed, made["type"])
        if current is not None and _same(current, made):
            continue
        if current is not None and current["status"] == made["status"]:
            made["lastTransitionTime"] = current.get("lastTransitionTime")
        if current is not None:
            listed[listed.index(current)] = made
        else:
            listed.append(made)
    return {**status, "phase": "Terminating", "conditions": listed}


def _same(one: Object, other: Object) -> bool:
    return all(one.get(name) == other.get(name) for name in ("status", "reason", "message"))


def _made(kind: str, bad: str, trouble: str, good: str, well: str) -> Object:
    """True with the trouble when there is any, else False with what is well."""
    if trouble:
        return conditions.make(kind, "True", bad, trouble)
    return conditions.make(kind, "False", good, well)


def _discovery(remains: Remains) -> Object:
    failed = remains.discovery_errors
    text = f"Discovery failed for some groups, {len(failed)} failing: {', '.join(sorted(failed))}"
    return _made(
        f"{_PREFIX}DiscoveryFailure",
        "DiscoveryFailed",
        text if failed else "",
        "ResourcesDiscovered",
        "All resources successfully discovered",
    )


def _content(remains: Remains) -> Object:
    failed = sorted(remains.errors)
    text = f"Failed to delete all resource types, {len(failed)} remaining: {', '.join(failed)}"
    return _made(
        f"{_PREFIX}ContentFailure",
        "ContentDeletionFailed",
        text if failed else "",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    )


def _resources(remains: Remains) -> Object:
    parts = [
        f"{name} has {count} resource instances"
        for name, count in sorted(remains.resources.items())
    ]
    return _made(
        "NamespaceContentRemaining",
        "SomeResourcesRemain",
        f"Some resources are remaining: {', '.join(parts)}" if parts else "",
        "ContentRemoved",
        "All content successfully removed",
    )


def _finalizers(remains: Remains) -> Object:
    parts = [
        f"{name} in {count} resource instances"
        for name, count in sorted(remains.finalizers.items())
    ]
    text = f"Some content in the namespace has finalizers remaining: {', '.join(parts)}"
    return _made(
        "NamespaceFinalizersRemaining",
        "SomeFinalizersRemain",
        text if parts else "",
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    )
