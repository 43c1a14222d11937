"""Old documents to new: kubeadm.k8s.io/v1beta3 → v1beta4."""

from __future__ import annotations

from typing import Any

from kubeinstall.config.schemas import V1BETA3, V1BETA4

Object = dict[str, Any]

_COMPONENTS = ("apiServer", "controllerManager", "scheduler")


def migrate(document: Object) -> Object:
    """The document in v1beta4; one that is already there, or not kubeadm's, comes back equal.

    v1beta4 made extraArgs lists (order and repetition count), and gathered timeouts.
    """
    if document.get("apiVersion") != V1BETA3:
        return document
    new: Object = {**document, "apiVersion": V1BETA4}
    if "nodeRegistration" in new:
        new["nodeRegistration"] = _arguments(new["nodeRegistration"], "kubeletExtraArgs")
    for section in _COMPONENTS:
        if section in new:
            new[section] = _arguments(new[section], "extraArgs")
    etcd = new.get("etcd")
    if etcd and etcd.get("local"):
        new["etcd"] = {**etcd, "local": _arguments(etcd["local"], "extraArgs")}
    if new.get("kind") == "JoinConfiguration":
        _move_discovery_timeout(new)
    api_server = new.get("apiServer")
    if api_server and "timeoutForControlPlane" in api_server:
        # It moves to InitConfiguration.timeouts, another document: see migrate_all.
        kept = {k: v for k, v in api_server.items() if k != "timeoutForControlPlane"}
        new["apiServer"] = kept
    return new


def migrate_all(documents: list[Object]) -> list[Object]:
    """Migrate documents that belong together; a timeout may move from one to the other."""
    moved = [
        (document.get("apiServer") or {}).get("timeoutForControlPlane")
        for document in documents
        if document.get("apiVersion") == V1BETA3
    ]
    timeout = next((value for value in moved if value), None)
    result = [migrate(document) for document in documents]
    if timeout is None:
        return result
    for document in result:
        if document.get("kind") == "InitConfiguration":
            timeouts = document.get("timeouts") or {}
            document["timeouts"] = {"controlPlaneComponentHealthCheck": timeout, **timeouts}
            return result
    init = {"apiVersion": V1BETA4, "kind": "InitConfiguration"}
    return [{**init, "timeouts": {"controlPlaneComponentHealthCheck": timeout}}, *result]


def _arguments(section: Object | None, name: str) -> Object | None:
    if not section or not isinstance(section.get(name), dict):
        return section
    pairs = [{"name": key, "value": value} for key, value in sorted(section[name].items())]
    return {**section, name: pairs}


def _move_discovery_timeout(document: Object) -> None:
    discovery = dict(document.get("discovery") or {})
    timeout = discovery.pop("timeout", None)
    if timeout is not None:
        document["discovery"] = discovery
        document["timeouts"] = {"discovery": timeout, **(document.get("timeouts") or {})}
