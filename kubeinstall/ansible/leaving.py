"""A host leaves the cluster: its etcd member, then its Node. Asked of a control plane that stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeinstall.ansible import etcd, paths
from kubeinstall.ansible.drain import NODES, DrainOptions, cordon, drain
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
    """Take the hosts' members out of etcd. Refused where those that stay would have no quorum.

    `config` is that of the host this runs on.
    """
    outcome = Outcome()
    client = etcd.client_of(config)
    if not client.urls:
        return outcome
    for name in names:
        members = client.members()
        leaving = [m for m in members if m.name == name or m.peer_url == _peer(config, name)]
        if not leaving:
            continue
        staying = [m for m in members if m not in leaving and not m.learner]
        healthy = [m for m in staying if m.client_url and client.healthy(m.client_url)]
        if len(healthy) < len(staying) // 2 + 1:
            raise KubeinstallError(
                f"etcd member {name} is not taken out: of the {len(staying)} that stay only {len(healthy)} are "
                "healthy, and the cluster would have no quorum; bring them back first"
            )
        outcome.add(f"remove etcd member {name}")
        if not check:
            urls = [m.client_url for m in healthy]
            client.run("member", "remove", leaving[0].id, urls=urls)
    return outcome


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
