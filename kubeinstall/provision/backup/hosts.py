"""What a cluster consists of, kept with its backup, and whether an inventory is the same cluster."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import yaml

from kubeinstall.provision.backup.documents import config_map

Object = dict[str, Any]

NODES = "/registry/core/nodes/"
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_NETWORK = ("serviceSubnet", "podSubnet", "dnsDomain")


def description(values: Mapping[str, bytes], members: Mapping[str, str]) -> Object:
    """`name`, `networking`, `nodes` (name → address), `control_planes`, `etcd` (name → address).

    `values` are stored ones by key, Nodes and the ConfigMaps of kube-system; `members` are etcd's.
    """
    cluster = config_map(values.get, "kubeadm-config").get("ClusterConfiguration")
    document = yaml.safe_load(cluster) if cluster else {}
    networking = document.get("networking") or {}
    nodes = [_json(value) for key, value in sorted(values.items()) if key.startswith(NODES)]
    return {
        "name": document.get("clusterName") or "",
        "networking": {name: networking.get(name) or "" for name in _NETWORK},
        "nodes": {node["metadata"]["name"]: _address(node) for node in nodes if node},
        "control_planes": [
            node["metadata"]["name"]
            for node in nodes
            if _CONTROL_PLANE in (node.get("metadata", {}).get("labels") or {})
        ],
        "etcd": dict(members),
    }


def members_now(url: str) -> dict[str, str]:
    """Name → address of etcd's voting members, by the cluster itself."""
    return asyncio.run(_members(url))


async def _members(url: str) -> dict[str, str]:
    import grpc.aio

    from kubeinstall._wire.etcd.v3 import rpc_pb2, rpc_pb2_grpc
    from kubeinstall.storage.etcd.connection import CALL_SECONDS, Connection
    from kubeinstall.storage.etcd.endpoints import EtcdEndpoints

    async def ask(channel: grpc.aio.Channel) -> rpc_pb2.MemberListResponse:
        answer: rpc_pb2.MemberListResponse = await rpc_pb2_grpc.ClusterStub(channel).MemberList(
            rpc_pb2.MemberListRequest(), timeout=CALL_SECONDS
        )
        return answer

    connection = Connection(EtcdEndpoints.parse(url))
    try:
        answer, _ = await connection.call(ask)
    finally:
        await connection.close()
    return {
        member.name or f"{member.ID:x}": urlsplit(next(iter(member.peerURLs), "")).hostname or ""
        for member in answer.members
        if not member.isLearner
    }


def differences(saved: Object, configs: Mapping[str, Object]) -> tuple[list[str], list[str]]:
    """How the inventory's cluster (host → configuration) differs from the saved one: what forbids a restore, as what is
    stored would not fit, and what makes it another set of hosts."""
    if not saved:
        return [], []
    cluster = next(iter(configs.values()))["cluster"]
    wrong = []
    if saved["name"] != cluster["clusterName"]:
        wrong.append(f"clusterName is {cluster['clusterName']}, and was {saved['name']}")
    for name, value in saved["networking"].items():
        if value and value != cluster["networking"].get(name):
            wrong.append(f"networking.{name} is {cluster['networking'].get(name)}, and was {value}")
    return wrong, list(_other_hosts(saved, configs))


def _other_hosts(saved: Object, configs: Mapping[str, Object]) -> Iterator[str]:
    nodes = {n: _own(c) for n, c in configs.items() if "node" in c["host"]["roles"]}
    control = {n: _own(c) for n, c in configs.items() if "control-plane" in c["host"]["roles"]}
    etcd = next(iter(configs.values()))["host"]["etcd"]["members"]
    before = {name: saved["nodes"].get(name, "") for name in saved["control_planes"]}
    yield from _compare("node", saved["nodes"], nodes)
    yield from _compare("control plane", before, control)
    yield from _compare("etcd member", saved["etcd"], etcd)


def _compare(kind: str, before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*before, *now}):
        if name not in now:
            yield f"{kind} {name} ({before[name]}) is not in the inventory"
        elif name not in before:
            yield f"{kind} {name} ({now[name]}) is not in the backup"
        elif before[name] and before[name] != now[name]:
            yield f"{kind} {name} has address {now[name]}, and had {before[name]}"


def _own(config: Object) -> str:
    return str(config["init"]["localAPIEndpoint"]["advertiseAddress"])


def _json(value: bytes) -> Object:
    """An object as it is stored; empty where it is encrypted."""
    try:
        found: Object = json.loads(value)
    except ValueError:
        return {}
    return found


def _address(node: Object) -> str:
    addresses = (node.get("status") or {}).get("addresses") or []
    return next((str(a["address"]) for a in addresses if a["type"] == "InternalIP"), "")
