"""kubeadm's phases of init, and how each maps to the playbook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kubeinstall.errors import KubeinstallError
from kubeinstall.pki.identity import ClusterIdentity
from kubeinstall.pki.inventory import AUTHORITIES, CERTIFICATES
from kubeinstall.pki.kubeconfigs import kubeconfigs

_CERTIFICATES = [
    *(spec.phase for spec in AUTHORITIES),
    *(spec.phase for spec in CERTIFICATES),
    "sa",
]
_KUBECONFIGS = [spec.phase for spec in kubeconfigs(ClusterIdentity("node", "192.0.2.1"))]
_CONTROL_PLANE = {
    "apiserver": "kube-apiserver",
    "controller-manager": "kube-controller-manager",
    "scheduler": "kube-scheduler",
}


@dataclass(frozen=True)
class Phase:
    """A phase, the playbook tag that runs it, and the role variable that picks its parts."""

    name: str
    help: str
    tag: str
    parts: dict[str, str] = field(default_factory=dict)
    variable: str = ""


PHASES = (
    Phase("preflight", "Run pre-flight checks", "preflight"),
    Phase("container-runtime", "Install and run containerd", "container-runtime"),
    Phase("component-runtime", "Install tools, prepare the kernel", "component-runtime"),
    Phase(
        "certs",
        "Certificate generation",
        "certs",
        {name: name for name in _CERTIFICATES},
        "pki_certificates",
    ),
    Phase(
        "kubeconfig",
        "Generate all kubeconfig files necessary to establish the control plane",
        "kubeconfig",
        {name: name for name in _KUBECONFIGS},
        "pki_kubeconfigs",
    ),
    Phase(
        "control-plane",
        "Run the control plane's components as services",
        "control-plane",
        _CONTROL_PLANE,
        "control_plane_components",
    ),
    Phase(
        "kubelet-start", "Write kubelet settings and start the node's components", "kubelet-start"
    ),
    Phase(
        "upload-config",
        "Upload the configuration to ConfigMaps",
        "upload-config",
        {"kubeadm": "", "kubelet": ""},
    ),
    Phase("bootstrap-token", "Generate a bootstrap token used to join a node", "bootstrap-token"),
    Phase(
        "addon",
        "Install what a conforming cluster needs: cluster DNS, pod network",
        "addon",
        {"coredns": "", "kube-proxy": ""},
    ),
    Phase("mark-control-plane", "Wait for the node and mark it", "mark-control-plane"),
    Phase("images", "Build and import local images", "images"),
    Phase("upload-certs", "Share the certificates with control planes that join", "upload-certs"),
    Phase("show-join-command", "Show the join command", "show-join-command"),
)
_BY_NAME = {phase.name: phase for phase in PHASES}
# These three are parts of one task, told apart by a variable.
_OBJECTS = ("upload-config", "bootstrap-token", "addon")
#: kubeadm's phases that are no steps of their own here → the phase that they are part of.
PART_OF = {"wait-control-plane": "control-plane", "kubelet-finalize": "kubelet-start"}
#: Parts of `addon` → the section of ClusterConfiguration that leaves the program out.
ADDONS = {"addon/coredns": "dns", "addon/kube-proxy": "proxy"}
_NO_ETCD = (
    "a single host keeps its state in a file (SQLite) or in the etcd of etcd.external; etcd on the hosts themselves is "
    "made by: kubeinstall apply"
)


@dataclass
class Selection:
    """Which tags to run or leave out, and the variables that go with them."""

    tags: list[str] = field(default_factory=list)
    skip_tags: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)


def leave_out_addons(skipped: Sequence[str], cluster: dict[str, Any]) -> None:
    """Skipped parts of `addon` become what the ClusterConfiguration says, so that nodes that join know it too."""
    for name, section in ADDONS.items():
        if name in skipped:
            cluster[section] = {**(cluster.get(section) or {}), "disabled": True}


def find(name: str) -> tuple[Phase, str]:
    """`certs/apiserver` → (the phase, the part); KubeinstallError for an unknown one."""
    head, _, part = name.partition("/")
    if head in PART_OF:
        head, part = PART_OF[head], ""
    if head == "etcd":
        raise KubeinstallError(f'there is no phase "{name}" here: {_NO_ETCD}')
    phase = _BY_NAME.get(head)
    if phase is None:
        known = ", ".join(phase.name for phase in PHASES)
        raise KubeinstallError(f'invalid phase name: "{name}"; there are {known}')
    if part and part not in phase.parts and part != "all":
        known = ", ".join(phase.parts) or "none"
        raise KubeinstallError(f'invalid phase name: "{name}"; parts of {head}: {known}')
    return phase, "" if part == "all" else part


def select_one(name: str) -> Selection:
    """`init phase NAME`."""
    phase, part = find(name)
    selection = Selection(tags=[phase.tag])
    if part and phase.variable:
        selection.variables[phase.variable] = [phase.parts[part]]
    if phase.name in _OBJECTS:
        selection.variables["addons_phases"] = [phase.name]
    return selection


def select_all_but(skipped: Sequence[str]) -> Selection:
    """`--skip-phases`: whole phases leave out their tag, parts shorten the phase's list."""
    selection = Selection()
    left: dict[str, list[str]] = {}
    objects = list(_OBJECTS)
    for name in skipped:
        if name.partition("/")[0] in (*PART_OF, "etcd") or name in ADDONS:
            continue  # nothing of its own to leave out; ADDONS are left out by the configuration
        phase, part = find(name)
        if part and not phase.variable:
            raise KubeinstallError(f'"{name}" is done together with {phase.name}; skip that')
        if part:
            parts = left.setdefault(phase.name, list(phase.parts.values()))
            if phase.parts[part] in parts:
                parts.remove(phase.parts[part])
        elif phase.name in _OBJECTS:
            objects.remove(phase.name) if phase.name in objects else None
        else:
            selection.skip_tags.append(phase.tag)
    for name, parts in left.items():
        phase = _BY_NAME[name]
        if parts:
            selection.variables[phase.variable] = parts
        else:
            selection.skip_tags.append(phase.tag)
    if not objects:
        selection.skip_tags += list(_OBJECTS)
    elif len(objects) < len(_OBJECTS):
        selection.variables["addons_phases"] = objects
    return selection
