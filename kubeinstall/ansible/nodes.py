"""The end of a run: every node is Ready, and control planes carry their marks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubeinstall.ansible import paths
from kubeinstall.ansible.objects import MANAGER, difference, with_client
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.errors import Forbidden, KubeinstallError

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

Object = dict[str, Any]

_SERVER_SECONDS = 60.0
_LOOK_SECONDS = 0.2
CONTROL_PLANE_LABELS = {
    "node-role.kubernetes.io/control-plane": "",
    "node.kubernetes.io/exclude-from-external-load-balancers": "",
}


def ensure_nodes(wanted: Mapping[str, Object], *, check: bool, seconds: float = 180.0) -> Outcome:
    """Wait for nodes (name → `{"labels", "taints"}`) and give them what they lack.

    Facts: `nodes`, name → seconds that it was waited for.
    """

    async def work(client: ApiClient) -> Outcome:
        outcome = Outcome()
        nodes = await (_seen(client) if check else _ready(client, wanted, seconds, outcome))
        for name, marks in wanted.items():
            if name in nodes:
                outcome.extend(await _mark(client, nodes[name], marks, check=check))
            else:  # only in a dry run: it would be there by now
                outcome.add(f"mark node {name}")
        return outcome

    return with_client(paths.ADMIN, work, _SERVER_SECONDS)


async def _ready(
    client: ApiClient, wanted: Mapping[str, Object], seconds: float, outcome: Outcome
) -> dict[str, Object]:
    started = time.monotonic()
    waited: dict[str, float] = {}
    while True:
        nodes = await _there(client)
        reasons = {name: _why_not(nodes.get(name)) for name in wanted}
        passed = time.monotonic() - started
        for name, reason in reasons.items():
            if not reason:
                waited.setdefault(name, round(passed, 1))
        if not any(reasons.values()):
            outcome.facts["nodes"] = waited
            return nodes
        if passed > seconds:
            lines = [f"node {name}: {reason}" for name, reason in reasons.items() if reason]
            raise KubeinstallError(
                f"not every node is Ready after {seconds:.0f} s (kubectl describe node says more):\n"
                + "\n".join(lines)
            )
        await asyncio.sleep(_LOOK_SECONDS)


async def _there(client: ApiClient) -> dict[str, Object]:
    listed = (await client.list("v1/nodes"))["items"]
    return {node["metadata"]["name"]: node for node in listed}


async def _seen(client: ApiClient) -> dict[str, Object]:
    """What a dry run sees: nothing where a run ended before the administrator's rights were made."""
    try:
        return await _there(client)
    except Forbidden:
        return {}


def _why_not(node: Object | None) -> str:
    """Why the node is not Ready; empty when it is."""
    if node is None:
        return "it has not registered"
    conditions = (node.get("status") or {}).get("conditions") or []
    ready: Object = next((c for c in conditions if c["type"] == "Ready"), {})
    return (
        "" if ready.get("status") == "True" else str(ready.get("message") or "it does not say why")
    )


async def _mark(client: ApiClient, node: Object, marks: Object, *, check: bool) -> Outcome:
    """Labels are laid over; a missing taint is added, and none is taken away but the control plane's own."""
    outcome = Outcome()
    name = node["metadata"]["name"]
    patch = difference({"metadata": {"labels": marks["labels"]}}, node)
    have = (node.get("spec") or {}).get("taints") or []
    pairs = {(taint["key"], taint["effect"]) for taint in have}
    add = [taint for taint in marks["taints"] if (taint["key"], taint["effect"]) not in pairs]
    if add:
        patch["spec"] = {"taints": [*have, *add]}
    if patch:
        outcome.add(f"mark node {name}")
        if not check:
            await client.patch("v1/nodes", name, patch, field_manager=MANAGER)
    return outcome


def marks_of(config: Object) -> Object:
    """What a host's node should carry."""
    roles = config["host"]["roles"]
    labels = dict(config["host"]["labels"])
    if "control-plane" in roles:
        labels.update(CONTROL_PLANE_LABELS)
    return {"labels": labels, "taints": config["init"]["nodeRegistration"]["taints"]}
