"""The order of API groups and of versions within one, which clients take as preference."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

#: Upstream's `groupPriorityMinimum` of built-in groups; higher comes first.
_GROUPS: Final = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "admissionregistration.k8s.io": 16700,
    "apiextensions.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
    "internal.apiserver.k8s.io": 16000,
    "resource.k8s.io": 15900,
    "storagemigration.k8s.io": 15800,
}
#: Upstream's `versionPriority` where it is not that of its stage.
_VERSIONS: Final = {
    ("", "v1"): 1,
    ("autoscaling", "v2"): 30,
    ("flowcontrol.apiserver.k8s.io", "v1"): 21,
}
#: The aggregator's own group stands before all others.
_AGGREGATOR: Final = "apiregistration.k8s.io"
_CUSTOM: Final = 1000
_VERSION: Final = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_STAGES: Final = {"alpha": 0, "beta": 1, None: 2}


def group_priority(group: str) -> int:
    """`spec.groupPriorityMinimum` of the group's APIService; 1000 for custom resources."""
    return _GROUPS.get(group, _CUSTOM)


def version_priority(group: str, version: str) -> int:
    """`spec.versionPriority` of the APIService; 100 for custom resources."""
    if group not in _GROUPS and group != _AGGREGATOR:
        return 100
    if (group, version) in _VERSIONS:
        return _VERSIONS[group, version]
    match = _VERSION.fullmatch(version)
    if match is None or match[2] is None:
        return 15
    return 9 if match[2] == "beta" else 1


class Priority(NamedTuple):
    """What an APIService says of the order: `groupPriorityMinimum` and `versionPriority`."""

    group: int
    version: int


#: Priorities that differ from the usual ones, by group and version.
Priorities = Mapping[tuple[str, str], Priority]


def sorted_groups(served: Mapping[str, Iterable[str]], priorities: Priorities) -> list[str]:
    """Groups (with their versions) in the order `/apis` lists them: by what their first version says."""

    def key(group: str) -> tuple[bool, int, str]:
        first = sorted_versions(group, served[group], priorities)[0]
        said = priorities.get((group, first))
        return (group != _AGGREGATOR, -(said.group if said else group_priority(group)), group)

    return sorted(served, key=key)


def sorted_versions(group: str, versions: Iterable[str], priorities: Priorities) -> list[str]:
    """Versions by priority, and where that is the same: v2, v1, v1beta2, v1beta1, v1alpha1, then by name."""

    def key(version: str) -> tuple[int, int, int, int, int, str]:
        said = priorities.get((group, version))
        own = said.version if said else version_priority(group, version)
        return (-own, *_version_key(version))

    return sorted(set(versions), key=key)


def _version_key(version: str) -> tuple[int, int, int, int, str]:
    match = _VERSION.fullmatch(version)
    if match is None:
        return (1, 0, 0, 0, version)
    return (0, -_STAGES[match[2]], -int(match[1]), -int(match[3] or 0), version)
