"""The end of a join by hand: the node is Ready, and a control plane is marked and known to the next one."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import yaml

from kubeinstall.ansible import paths
from kubeinstall.ansible.cluster_objects import JOIN_FACTS, own_server
from kubeinstall.ansible.nodes import ensure_nodes, marks_of
from kubeinstall.ansible.objects import with_client
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.services import last_words
from kubeinstall.errors import (
    Conflict,
    Forbidden,
    KubeinstallError,
    NotFound,
    StatusError,
    Unauthorized,
)

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

Object = dict[str, Any]

KUBELET = paths.KUBERNETES / "kubelet.conf"
_SERVER_SECONDS = 60.0
_LOOK_SECONDS = 0.2
_MAPS = "v1/configmaps"
_ATTEMPTS = 10


def ensure_joined(config: Object, *, check: bool, seconds: float) -> Outcome:
    """Wait until this host's Node is Ready. Facts: `node_ready_seconds`, how long that took.

    A worker looks with its kubelet's own certificate. KubeinstallError says why the node is not Ready.
    """
    if "control-plane" in config["host"]["roles"]:
        return _control_plane(config, check=check, seconds=seconds)
    outcome = Outcome()
    if check and not KUBELET.exists():
        return outcome
    name = config["init"]["nodeRegistration"]["name"]
    started = time.monotonic()

    async def work(client: ApiClient) -> Outcome:
        await _wait_ready(client, name, 0 if check else seconds)
        return outcome

    with_client(KUBELET, work, _SERVER_SECONDS)
    outcome.facts["node_ready_seconds"] = round(time.monotonic() - started, 1)
    return outcome


async def _wait_ready(client: ApiClient, name: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        why = await _why_not(client, name)
        if not why:
            return
        if time.monotonic() > deadline:
            raise KubeinstallError(
                f"node {name} is not Ready after {seconds:.0f} s: {why}\n{last_words('kubelet')}"
            )
        await asyncio.sleep(_LOOK_SECONDS)


async def _why_not(client: ApiClient, name: str) -> str:
    try:
        node = await client.get("v1/nodes", name)
    except NotFound:
        return "it has not registered"
    except (Unauthorized, Forbidden) as error:
        raise KubeinstallError(
            f"the kubelet's certificate is not accepted: {error}\n{last_words('kubelet')}"
        ) from error
    except StatusError as error:
        return str(error)
    conditions = (node.get("status") or {}).get("conditions") or []
    ready: Object = next((c for c in conditions if c["type"] == "Ready"), {})
    return (
        "" if ready.get("status") == "True" else str(ready.get("message") or "it does not say why")
    )


def _control_plane(config: Object, *, check: bool, seconds: float) -> Outcome:
    if check and not paths.ADMIN.exists():
        return Outcome(changes=["mark the node as control plane"])
    name = config["init"]["nodeRegistration"]["name"]
    outcome = ensure_nodes({name: marks_of(config)}, check=check, seconds=seconds)
    outcome.extend(
        with_client(paths.ADMIN, lambda client: tell(client, config, check=check), _SERVER_SECONDS)
    )
    return outcome


async def tell(client: ApiClient, config: Object, *, check: bool) -> Outcome:
    """Add this control plane, and its etcd member, to what the next host that joins reads."""

    def add(facts: Object) -> None:
        members = config["host"]["etcd"].get("members") or {}
        if members:
            etcd = facts.setdefault("etcd", {})
            etcd["members"] = {**(etcd.get("members") or {}), **members}
        facts["servers"] = {**(facts.get("servers") or {}), **own_server(config["init"])}

    return await change_facts(client, add, check=check)


async def change_facts(
    client: ApiClient, change: Callable[[Object], None], *, check: bool
) -> Outcome:
    """Read what hosts that join are told, let `change` alter it in place, and write it back where that made a
    difference. Somebody else's change at the same moment is kept: it is tried again on top of that."""
    outcome = Outcome()
    for _ in range(_ATTEMPTS):
        found = await client.get(_MAPS, "kubeadm-config", "kube-system")
        data = found.setdefault("data", {})
        facts = yaml.safe_load(data.get(JOIN_FACTS) or "") or {}
        before = copy.deepcopy(facts)
        change(facts)
        if facts == before:
            return outcome
        outcome.add("update ConfigMap kube-system/kubeadm-config")
        if check:
            return outcome
        data[JOIN_FACTS] = yaml.safe_dump(facts, sort_keys=True, default_flow_style=False)
        try:
            await client.update(_MAPS, {**found, "apiVersion": "v1", "kind": "ConfigMap"})
        except Conflict:
            outcome = Outcome()
            continue
        return outcome
    raise KubeinstallError(
        "ConfigMap kube-system/kubeadm-config changes all the time: another host joins? Run the same command again"
    )
