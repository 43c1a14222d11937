"""A control plane that is reset leaves the cluster first: its etcd member, and what joining hosts are told of it.

Everything is read from this host's own files, since no configuration need be left. Nothing here may stop a reset: a
cluster that is gone, or has lost its quorum, cannot be left properly; what could not be done is told.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from kubeinstall.ansible import etcd, paths
from kubeinstall.ansible.commands import CommandError
from kubeinstall.ansible.etcdctl import EtcdClient, Member
from kubeinstall.ansible.joining import change_facts
from kubeinstall.ansible.objects import with_client
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.errors import KubeinstallError

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

Object = dict[str, Any]

_API_SECONDS = 5.0
_TO_DO = "on a control plane that stays: kubeinstall etcd remove"


def leave_cluster(kubeconfig: Path, *, check: bool) -> Outcome:
    """Take this host's etcd member out, where there is one and others stay. Warnings say what could not be done."""
    settings = _settings()
    outcome = Outcome()
    name = str(settings.get("name") or "")
    if not name:
        return outcome
    client = _client(settings)
    try:
        members = client.members()
    except CommandError as error:
        outcome.warnings.append(
            f"etcd does not answer, so member {name} is not taken out ({_first_line(error)}); if the cluster goes on "
            f"without this host, {_TO_DO} {name}"
        )
        return outcome
    mine = [member for member in members if member.name == name or _own_peer(member, settings)]
    staying = [member for member in members if member not in mine and not member.learner]
    if not mine or not staying:
        return outcome  # it left already, or the cluster ends with it
    outcome.extend(_forget(kubeconfig, name, check=check))
    healthy = [m.client_url for m in staying if m.client_url and client.healthy(m.client_url)]
    if len(healthy) < len(staying) // 2 + 1:
        outcome.warnings.append(
            f"etcd member {name} is not taken out: of the {len(staying)} that stay only {len(healthy)} are healthy; "
            f"when they are, {_TO_DO} {name}"
        )
        return outcome
    outcome.add(f"remove etcd member {name}")
    if not check:
        try:
            client.run("member", "remove", mine[0].id, urls=healthy)
        except CommandError as error:
            outcome.warnings.append(
                f"etcd member {name} is not taken out: {_first_line(error)}; {_TO_DO} {name}"
            )
    return outcome


def _settings() -> Object:
    try:
        return yaml.safe_load(etcd.CONFIG.read_text()) or {}
    except (OSError, yaml.YAMLError):
        return {}


def _client(settings: Object) -> EtcdClient:
    """Own URL first, then those that this host's API server knows."""
    urls = [str(settings.get("advertise-client-urls") or "")]
    try:
        components = yaml.safe_load(paths.COMPONENTS.read_text()) or {}
    except (OSError, yaml.YAMLError):
        components = {}
    urls += str((components.get("kube-apiserver") or {}).get("etcd-servers") or "").split(",")
    pki = Path(str((settings.get("peer-transport-security") or {}).get("trusted-ca-file") or "/"))
    return EtcdClient(tuple(dict.fromkeys(url for url in urls if url)), pki.parent)


def _own_peer(member: Member, settings: Object) -> bool:
    return member.peer_url == settings.get("initial-advertise-peer-urls")


def _forget(kubeconfig: Path, name: str, *, check: bool) -> Outcome:
    """Hosts that join later are not told of this control plane any more."""

    def drop(facts: Object) -> None:
        (facts.get("servers") or {}).pop(name, None)
        ((facts.get("etcd") or {}).get("members") or {}).pop(name, None)

    async def work(client: ApiClient) -> Outcome:
        return await change_facts(client, drop, check=check)

    if not kubeconfig.exists():
        return Outcome()
    try:
        return with_client(kubeconfig, work, _API_SECONDS)
    except KubeinstallError as error:
        text = f"ConfigMap kube-system/kubeadm-config still names {name}: {_first_line(error)}"
        return Outcome(warnings=[text])


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
