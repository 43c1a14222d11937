"""What the cluster needs once its API server answers: objects, a join token, the node's marks."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from kubeinstall.ansible import paths
from kubeinstall.ansible.cluster_objects import (
    BOOTSTRAP_TOKEN,
    PHASES,
    cluster_info,
    cluster_objects,
    node_marks,
)
from kubeinstall.ansible.identity import identity_of
from kubeinstall.ansible.leftovers import component_processes
from kubeinstall.ansible.objects import ensure_objects, title, with_client
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.services import ready_at
from kubeinstall.config.durations import parse_duration
from kubeinstall.errors import KubeinstallError, NotFound, StatusError
from kubeinstall.pki import BootstrapToken
from kubeinstall.pki.kubeconfigs import dump
from kubeinstall.pki.tokens import TYPE, token_secret

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

Object = dict[str, Any]

_SERVER_SECONDS = 60.0


def ensure_cluster(config: Object, phases: Sequence[str] = (), *, check: bool) -> Outcome:
    """Apply every object of `cluster_objects`, cluster-info, and a bootstrap token if none is valid.

    Works as super-admin: the ordinary administrator's rights are among the objects.
    """
    kubeconfig = paths.SUPER_ADMIN if paths.SUPER_ADMIN.exists() else paths.ADMIN
    wanted = phases or PHASES
    objects = cluster_objects(config, wanted)
    if BOOTSTRAP_TOKEN in wanted:
        objects.append(cluster_info(discovery_kubeconfig(config, check=check)))
    if check and not server_answers(config):
        token = [] if config.get("host") else ["create a bootstrap token"]
        return Outcome(changes=[*(f"create {title(each)}" for each in objects), *token])

    async def work(client: ApiClient) -> Outcome:
        outcome = await ensure_objects(client, objects, check=check)
        if BOOTSTRAP_TOKEN in wanted:
            outcome.extend(await _ensure_token(client, config, check=check))
        return outcome

    return with_client(kubeconfig, work, _SERVER_SECONDS)


def ensure_discovery(config: Object) -> Outcome:
    """Have cluster-info name the authorities that ca.crt holds now; its server, and all else, stays as it is."""

    async def work(client: ApiClient) -> Outcome:
        try:
            found = await client.get("v1/configmaps", "cluster-info", "kube-public")
        except NotFound:
            return Outcome()
        document = yaml.safe_load((found.get("data") or {}).get("kubeconfig") or "") or {}
        ca = Path(config["cluster"]["certificatesDir"]) / "ca.crt"
        wanted = base64.b64encode(ca.read_bytes()).decode()
        clusters = [entry["cluster"] for entry in document.get("clusters") or []]
        if all(entry.get("certificate-authority-data") == wanted for entry in clusters):
            return Outcome()
        for entry in clusters:
            entry["certificate-authority-data"] = wanted
        data = {**found["data"], "kubeconfig": dump(document).decode()}
        await client.update("v1/configmaps", {**found, "data": data})
        return Outcome(changes=["tell hosts that will join, in kube-public/cluster-info"])

    kubeconfig = paths.SUPER_ADMIN if paths.SUPER_ADMIN.exists() else paths.ADMIN
    return with_client(kubeconfig, work, _SERVER_SECONDS)


def discovery_kubeconfig(config: Object, *, check: bool = False) -> str:
    """The kubeconfig without user that joining hosts are shown."""
    identity = identity_of(config)
    ca = Path(config["cluster"]["certificatesDir"]) / "ca.crt"
    if check and not ca.exists():
        return ""
    cluster = {
        "certificate-authority-data": base64.b64encode(ca.read_bytes()).decode(),
        "server": identity.server,
    }
    document = {
        "apiVersion": "v1",
        "clusters": [{"cluster": cluster, "name": ""}],
        "contexts": [],
        "current-context": "",
        "kind": "Config",
        "preferences": {},
        "users": [],
    }
    return dump(document).decode()


def server_answers(config: Object) -> bool:
    """Whether anything listens where the API server should."""
    import socket

    endpoint = config["init"]["localAPIEndpoint"]
    try:
        address = (endpoint["advertiseAddress"], endpoint["bindPort"])
        with socket.create_connection(address, timeout=2):
            return paths.ADMIN.exists()
    except OSError:
        return False


async def _ensure_token(client: ApiClient, config: Object, *, check: bool) -> Outcome:
    outcome = Outcome()
    given = config["init"]["bootstrapTokens"]
    if not given and config.get("host"):
        return outcome  # hosts of an inventory get a token of their own when they need one
    if not given:
        if await _valid_tokens(client):
            return outcome
        # No token of the configuration, and no valid one: kubeadm makes one with default life.
        given = [{"token": str(BootstrapToken.generate()), "ttl": "24h0m0s"}]
    for entry in given:
        token = BootstrapToken.parse(entry["token"])
        try:
            await client.get("v1/secrets", token.secret_name, "kube-system")
        except NotFound:
            outcome.add(f"create bootstrap token {token.token_id}")
            if not check:
                await client.create("v1/secrets", _secret(token, entry))
    return outcome


def _secret(token: BootstrapToken, entry: Object) -> Object:
    expires: datetime | None = None
    if entry.get("expires"):
        expires = datetime.fromisoformat(entry["expires"])
    elif parse_duration(entry["ttl"]):
        expires = datetime.now(UTC) + parse_duration(entry["ttl"])
    return token_secret(
        token,
        expires=expires,
        description=entry.get("description")
        or "The default bootstrap token generated by 'kubeinstall init'.",
        usages=tuple(entry.get("usages") or ("signing", "authentication")),
        groups=tuple(entry.get("groups") or ("system:bootstrappers:kubeadm:default-node-token",)),
    )


async def _valid_tokens(client: ApiClient) -> list[Object]:
    answer = await client.list("v1/secrets", namespace="kube-system", field_selector=f"type={TYPE}")
    now = datetime.now(UTC)
    return [item for item in answer["items"] if not _expired(item, now)]


def _expired(secret: Object, now: datetime) -> bool:
    encoded = (secret.get("data") or {}).get("expiration")
    if not encoded:
        return False
    return datetime.fromisoformat(base64.b64decode(encoded).decode()) <= now


def ensure_node(config: Object, *, check: bool, seconds: float) -> Outcome:
    """Wait until this host's Node is there and Ready, then label and taint it.

    Facts: `node_ready_seconds`, from the start of the first component's process on.
    """
    if check and not server_answers(config):
        return Outcome(changes=["mark the node as control plane"])

    async def work(client: ApiClient) -> Outcome:
        name = config["init"]["nodeRegistration"]["name"]
        try:
            node = await _wait_ready(client, name, 0 if check else seconds)
        except KubeinstallError:
            if not check:
                raise
            return Outcome(changes=["mark the node as control plane"])  # it would be there by now
        outcome = await _mark(client, node, node_marks(config), check=check)
        started = processes_started()
        if started:
            # The kubelet says that it is ready once its node is; the condition has whole seconds.
            ready = ready_at("kubelet", "kube-node") or _ready_since(node)
            outcome.facts["node_ready_seconds"] = round(max(ready - started, 0.0), 2)
        return outcome

    return with_client(paths.ADMIN, work, _SERVER_SECONDS)


def processes_started() -> float:
    """When the oldest component process of this host started (seconds since 1970); 0 if none."""
    import psutil

    times = []
    for pid, _names in component_processes():
        with contextlib.suppress(psutil.Error):
            times.append(float(psutil.Process(pid).create_time()))
    return min(times, default=0.0)


async def _wait_ready(client: ApiClient, name: str, seconds: float) -> Object:
    deadline = time.monotonic() + seconds
    why = "it has not registered"
    while True:
        try:
            node = await client.get("v1/nodes", name)
        except StatusError as error:
            why = str(error)
        else:
            ready = _condition(node)
            if ready.get("status") == "True":
                return node
            why = str(ready.get("message") or "it does not say why")
        if time.monotonic() > deadline:
            raise KubeinstallError(
                f"node {name} is not Ready after {seconds:.0f} s: {why}; see "
                "`kubectl describe node` and the kubelet's log"
            )
        await asyncio.sleep(0.05)


async def _mark(client: ApiClient, node: Object, marks: Object, *, check: bool) -> Outcome:
    outcome = Outcome()
    name = node["metadata"]["name"]
    labels = node["metadata"].get("labels") or {}
    patch: Object = {}
    missing = {k: v for k, v in marks["labels"].items() if labels.get(k) != v}
    if missing:
        patch["metadata"] = {"labels": missing}
        outcome.add(f"label node {name}: {', '.join(missing)}")
    have = (node.get("spec") or {}).get("taints") or []
    pairs = {(taint["key"], taint["effect"]) for taint in have}
    add = [taint for taint in marks["taints"] if (taint["key"], taint["effect"]) not in pairs]
    if add:
        patch["spec"] = {"taints": [*have, *add]}
        outcome.add(f"taint node {name}: {', '.join(taint['key'] for taint in add)}")
    if patch and not check:
        await client.patch("v1/nodes", name, patch, field_manager="kubeinstall")
    return outcome


def _condition(node: Object) -> Object:
    conditions = (node.get("status") or {}).get("conditions") or []
    return next((dict(c) for c in conditions if c["type"] == "Ready"), {})


def _ready_since(node: Object) -> float:
    """The latest moment that the condition's time can mean."""
    text = str(_condition(node).get("lastTransitionTime") or "")
    return datetime.fromisoformat(text).timestamp() + 1 if text else 0.0
