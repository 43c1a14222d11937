"""A host leaves the cluster: its etcd member, then its Node. Asked of a control plane that stays."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from kubeinstall.ansible import etcd, paths
from kubeinstall.ansible.drain import NODES, DrainOptions, cordon, drain
from kubeinstall.ansible.etcdctl import Member
from kubeinstall.ansible.objects import with_client
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.errors import KubeinstallError, NotFound

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

Object = dict[str, Any]

_SERVER_SECONDS = 60.0


def empty_nodes(
    names: Sequence[str], dead: Sequence[str], options: DrainOptions, *, check: bool
) -> Outcome:
    """Drain each node that is there. One whose host is dead is only cordoned: its pods cannot end, and go with it."""

    async def work(client: ApiClient) -> Outcome:
        outcome = Outcome()
        for name in names:
            try:
                if name in dead:
                    if await cordon(client, name, unschedulable=True, dry_run=check):
                        outcome.add(f"cordon node {name}")
                    continue
                said: list[str] = []
                outcome.changes += await drain(client, name, options, said.append, dry_run=check)
                outcome.warnings += [line for line in said if "cannot be" in line]
            except NotFound:
                continue
        return outcome

    return with_client(paths.ADMIN, work, _SERVER_SECONDS)


def remove_members(config: Object, names: Sequence[str], *, check: bool) -> Outcome:
    """Take the hosts' members out of etcd. Refused, before any is taken, where those that stay would have no quorum.

    `config` is that of the host this runs on.
    """
    outcome = Outcome()
    client = etcd.client_of(config)
    if not client.urls:
        return outcome
    members = client.members()
    peers = {_peer(config, name) for name in names} - {""}
    leaving = [m for m in members if m.name in names or m.peer_url in peers]
    if not leaving:
        return outcome
    healthy = {m.id for m in members if m.client_url and client.healthy(m.client_url)}
    # Those that are gone anyway first: each of the others is then easier to spare.
    leaving.sort(key=lambda member: member.id in healthy)
    require_quorum(members, leaving, healthy)
    for member in leaving:
        outcome.add(f"remove etcd member {member.name or member.peer_url}")
        if not check:
            members = [m for m in members if m != member]
            urls = [m.client_url for m in members if m.id in healthy]
            client.run("member", "remove", member.id, urls=urls)
    return outcome


def require_quorum(
    members: Sequence[Member], leaving: Sequence[Member], healthy: Collection[str]
) -> None:
    """KubeinstallError when, taken out in this order, they leave less than a quorum behind at any step. `healthy` are
    ids."""
    staying = list(members)
    for member in leaving:
        staying.remove(member)
        voters = [m for m in staying if not m.learner]
        well = [m for m in voters if m.id in healthy]
        if len(well) < len(voters) // 2 + 1:
            raise KubeinstallError(
                f"etcd member {member.name} is not taken out: of the {len(voters)} that stay {len(well)} answer, and "
                "the cluster would have no quorum; bring them back first"
            )


def _peer(config: Object, name: str) -> str:
    address = config["host"]["etcd"]["members"].get(name)
    return etcd.peer_url(address) if address else ""


def delete_nodes(names: Sequence[str], *, check: bool) -> Outcome:
    """Delete the Nodes that are there; what ran on them is collected by the controllers."""

    async def work(client: ApiClient) -> Outcome:
        outcome = Outcome()
        for name in names:
            try:
                await client.get(NODES, name)
                outcome.add(f"delete node {name}")
                if not check:
                    await client.delete(NODES, name)
            except NotFound:
                continue
        return outcome

    return with_client(paths.ADMIN, work, _SERVER_SECONDS)
