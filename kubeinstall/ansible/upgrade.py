"""What an upgrade does on the host itself: fresh certificates, and a gate that opens when it does its part again."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubeinstall import KUBERNETES_VERSION
from kubeinstall.ansible import etcd, paths
from kubeinstall.ansible.component_services import GROUPS
from kubeinstall.ansible.identity import identity_of
from kubeinstall.ansible.objects import with_client
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.services import last_words, ready_at, unit_active
from kubeinstall.errors import KubeinstallError, StatusError
from kubeinstall.pki.expiry import expiries, renew

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

Object = dict[str, Any]

_LOOK_SECONDS = 0.3
_CURRENT = paths.RUNTIMES / "current"


def renew_certificates(config: Object, *, check: bool) -> Outcome:
    """Issue every leaf certificate and kubeconfig that is there afresh, as kubeadm does in an upgrade.

    Those whose authority is kept elsewhere are left alone, and so is the kubelet's, which rotates by itself.
    """
    pki = Path(config["cluster"]["certificatesDir"])
    identity = identity_of(config)
    outcome = Outcome()
    for entry in expiries(paths.KUBERNETES, pki, identity):
        if entry.is_authority or entry.missing or entry.externally_managed:
            continue
        if entry.path == paths.KUBERNETES / "kubelet.conf":
            continue
        outcome.add(f"renew {entry.path}")
        if not check:
            renew(paths.KUBERNETES, pki, identity, entry.name)
    return outcome


def wait_serving(config: Object, *, seconds: float) -> Outcome:
    """Return when the host does its part with this runtime; KubeinstallError says what is missing.

    Its units run, started since the switch; etcd and the API server of its own are healthy; its node is Ready, with
    this version. Fact: `upgraded_seconds`, from the switch on.
    """
    roles = config["host"]["roles"]
    since = _CURRENT.lstat().st_mtime if _CURRENT.is_symlink() else 0.0
    deadline = time.monotonic() + seconds
    _wait_units(roles, since, deadline)
    if "etcd" in roles and not etcd.client_of(config).healthy(etcd.client_of(config).urls[0], 15):
        raise KubeinstallError(f"etcd is not healthy\n{last_words(etcd.NAME)}")
    if "control-plane" in roles:
        _wait_server(deadline)
    if "node" in roles:
        wait_node_version(config["init"]["nodeRegistration"]["name"], deadline)
    outcome = Outcome()
    outcome.facts["upgraded_seconds"] = round(time.time() - since, 1) if since else 0.0
    return outcome


def _units(roles: list[str]) -> list[str]:
    """Of our units, those that this host has."""
    groups = [
        *(("kube-apiserver", "kube-control") if "control-plane" in roles else ()),
        *(("kube-node",) if "node" in roles else ()),
    ]
    names = [name for group in groups for name in GROUPS[group]]
    return [name for name in names if (paths.UNITS / f"{name}.service").exists()]


def _wait_units(roles: list[str], since: float, deadline: float) -> None:
    names = _units(roles)
    while True:
        missing = [n for n in names if not unit_active(n) or ready_at(n, n) < since]
        if not missing:
            return
        if time.monotonic() > deadline:
            raise KubeinstallError(
                f"{missing[0]} is not ready since the runtime was switched\n{last_words(missing[0])}"
            )
        time.sleep(_LOOK_SECONDS)


def _wait_server(deadline: float) -> None:
    async def nothing(_client: ApiClient) -> Outcome:
        return Outcome()

    left = max(deadline - time.monotonic(), 1.0)
    with_client(paths.KUBERNETES / "scheduler.conf", nothing, left)


def wait_node_version(name: str, deadline: float) -> None:
    """Return when the node is Ready with this version, as its own credentials see it."""

    async def work(client: ApiClient) -> Outcome:
        while True:
            why = await _node_lacks(client, name)
            if not why:
                return Outcome()
            if time.monotonic() > deadline:
                raise KubeinstallError(f"node {name}: {why}\n{last_words('kubelet')}")
            await asyncio.sleep(_LOOK_SECONDS)

    left = max(deadline - time.monotonic(), 1.0)
    with_client(paths.KUBERNETES / "kubelet.conf", work, left)


async def _node_lacks(client: ApiClient, name: str) -> str:
    """What the node still lacks; empty when nothing."""
    try:
        node = await client.get("v1/nodes", name)
    except StatusError as error:
        return str(error)
    status = node.get("status") or {}
    version = (status.get("nodeInfo") or {}).get("kubeletVersion") or "none"
    if version != KUBERNETES_VERSION:
        return f"its kubelet is {version}, not {KUBERNETES_VERSION}"
    ready: Object = next((c for c in status.get("conditions") or [] if c["type"] == "Ready"), {})
    return "" if ready.get("status") == "True" else str(ready.get("message") or "it is not Ready")
