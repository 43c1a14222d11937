"""kubeadm's phases of join, and the tags of `playbooks/join.yml` that they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubeinstall.errors import KubeinstallError


@dataclass(frozen=True)
class JoinPhase:
    """`tag` is empty for what is done before the playbook; `parts` are kubeadm's sub-phases, run together."""

    name: str
    help: str
    tag: str
    parts: tuple[str, ...] = ()


PREFLIGHT = "preflight"
PHASES = (
    JoinPhase(PREFLIGHT, "Run join pre-flight checks", ""),
    JoinPhase(
        "host-prepare",
        "Install and run containerd, tools and images, prepare the kernel",
        "host-prepare",
    ),
    JoinPhase(
        "control-plane-prepare",
        "Prepare the machine for serving a control plane: certificates, etcd member, components",
        "control-plane-prepare",
        ("download-certs", "certs", "kubeconfig", "control-plane"),
    ),
    JoinPhase("check-etcd", "Check that etcd is healthy (part of etcd-join)", "etcd-join"),
    JoinPhase("etcd-join", "Join etcd for control plane nodes", "etcd-join"),
    JoinPhase(
        "kubelet-start",
        "Write kubelet settings and certificates, and (re)start the node's components",
        "kubelet-start",
    ),
    JoinPhase(
        "kubelet-wait-bootstrap",
        "Wait for the kubelet to bootstrap itself, and for the node",
        "kubelet-wait-bootstrap",
    ),
    JoinPhase(
        "control-plane-join",
        "Join a machine as a control plane instance",
        "control-plane-join",
        ("mark-control-plane",),
    ),
    JoinPhase(
        "wait-control-plane",
        "Wait for the control plane to start (part of control-plane-prepare)",
        "control-plane-prepare",
    ),
)


def find(name: str) -> JoinPhase:
    """`control-plane-join/mark-control-plane` → its phase; KubeinstallError for an unknown one."""
    head, _, part = name.partition("/")
    phase = next((phase for phase in PHASES if phase.name == head), None)
    if phase is None:
        known = ", ".join(phase.name for phase in PHASES)
        raise KubeinstallError(f'invalid phase name: "{name}"; there are {known}')
    if part and part not in (*phase.parts, "all"):
        known = ", ".join(phase.parts) or "none"
        raise KubeinstallError(f'invalid phase name: "{name}"; parts of {head}: {known}')
    return phase


def skip_tags(skipped: Sequence[str]) -> list[str]:
    """`--skip-phases` as tags to leave out; parts cannot be left out alone."""
    tags = []
    for name in skipped:
        phase = find(name)
        if "/" in name and not name.endswith("/all"):
            raise KubeinstallError(f'"{name}" is done together with {phase.name}; skip that')
        if phase.tag:
            tags.append(phase.tag)
    return tags
