"""Names of cgroups, as upstream forms them for the cgroupfs and the systemd driver."""

from __future__ import annotations

from kubeinstall.kubelet.pod.resources import BEST_EFFORT, BURSTABLE

Name = tuple[str, ...]
"""The path as words: ("kubepods", "burstable", "pod<uid>")."""

KUBEPODS = "kubepods"


def class_name(root: Name, qos: str) -> Name:
    """The cgroup of a class; guaranteed pods are directly below kubepods."""
    base = (*root, KUBEPODS)
    if qos == BURSTABLE:
        return (*base, "burstable")
    if qos == BEST_EFFORT:
        return (*base, "besteffort")
    return base


def pod_name(root: Name, qos: str, uid: str) -> Name:
    """A pod's cgroup."""
    return (*class_name(root, qos), f"pod{uid}")


def cgroupfs(name: Name) -> str:
    """`/kubepods/burstable/pod<uid>`."""
    return "/" + "/".join(name)


def slice_unit(name: Name) -> str:
    """`kubepods-burstable-pod<uid>.slice`, dashes within words becoming underscores."""
    return "-".join(word.replace("-", "_") for word in name) + ".slice"


def slice_path(name: Name) -> str:
    """Where systemd puts a slice: each prefix is a folder."""
    return "/" + "/".join(slice_unit(name[: depth + 1]) for depth in range(len(name)))
