"""What a joining host reads from the cluster, and the complete configuration that it makes of it."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml

from kubeinstall.ansible.inventory.schema import BALANCER_PORT
from kubeinstall.balancer.haproxy import server_name
from kubeinstall.config.defaults import CONTROL_PLANE_TAINT, default_cluster, default_init
from kubeinstall.config.schemas import KUBELET, PROXY
from kubeinstall.errors import KubeinstallError
from kubeinstall.pki import PkiError, decrypt_with_key
from kubeinstall.provision.checks import absolute_patches
from kubeinstall.provision.discovery import Found
from kubeinstall.provision.discovery_http import Answer, NoAnswer, get

Object = dict[str, Any]

_SYSTEM = "/api/v1/namespaces/kube-system"
CERTS_SECRET = "kubeadm-certs"  # noqa: S105 - a Secret's name
#: Names in the Secret → below the pki directory; `/` in names becomes `-` there.
SHARED_FILES = {
    "ca.crt": "ca.crt",
    "ca.key": "ca.key",
    "front-proxy-ca.crt": "front-proxy-ca.crt",
    "front-proxy-ca.key": "front-proxy-ca.key",
    "sa.pub": "sa.pub",
    "sa.key": "sa.key",
    "etcd-ca.crt": "etcd/ca.crt",
    "etcd-ca.key": "etcd/ca.key",
    "encryption-config.yaml": "encryption-config.yaml",
}

#: kubeadm's names of an external etcd's files → fields of `etcd.external`, which say where they are on every host.
EXTERNAL_FILES = {
    "external-etcd-ca.crt": "caFile",
    "external-etcd.crt": "certFile",
    "external-etcd.key": "keyFile",
}
#: What a cluster need not have: its Secrets may be stored as they are.
OPTIONAL_FILES = {"encryption-config.yaml"}


class JoinError(KubeinstallError):
    """This host cannot join; nothing was changed on it."""


@dataclass(frozen=True)
class Cluster:
    """`configuration` is the ClusterConfiguration, `kubelet` the KubeletConfiguration that nodes share, `facts` what
    only kubeinstall's own clusters say (datastore, members, proxy)."""

    configuration: Object
    kubelet: Object
    facts: Object = field(default_factory=dict)


def read_cluster(found: Found) -> Cluster:
    """kubeadm-config and kubelet-config, read with the bootstrap token. `JoinError` when they may not be."""
    config = _config_map(found, "kubeadm-config")
    kubelet = _config_map(found, "kubelet-config")
    return Cluster(
        configuration=default_cluster(_document(config, "ClusterConfiguration", "kubeadm-config")),
        kubelet=_document(kubelet, "kubelet", "kubelet-config"),
        facts=yaml.safe_load(config.get("kubeinstall") or "") or {},
    )


def require_free_name(found: Found, name: str) -> None:
    """`JoinError` when a Ready node has this name: two kubelets would fight over it."""
    answer = _get(found, f"/api/v1/nodes/{name}")
    if answer.status == 404:
        return
    _require(answer, f"node {name}")
    conditions = (answer.document.get("status") or {}).get("conditions") or []
    if any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions):
        raise JoinError(
            f'a Node with name "{name}" and status "Ready" already exists in the cluster. Choose another name '
            f"(--node-name), or delete the existing one first: kubectl delete node {name}"
        )


def shared_files(configuration: Object) -> dict[str, str]:
    """Name in the Secret → file below the pki directory, or a whole path for those of an external etcd."""
    external = configuration["etcd"].get("external") or {}
    if not external:
        return dict(SHARED_FILES)
    given = {name: str(external.get(field) or "") for name, field in EXTERNAL_FILES.items()}
    own = {name: file for name, file in SHARED_FILES.items() if not name.startswith("etcd-")}
    return {**own, **{name: file for name, file in given.items() if file}}


def download_certificates(found: Found, key: str, wanted: dict[str, str]) -> dict[str, str]:
    """File → base64 of its content, decrypted with the certificate key. `wanted` is what `shared_files` says."""
    answer = _get(found, f"{_SYSTEM}/secrets/{CERTS_SECRET}")
    if answer.status in (403, 404):
        raise JoinError(
            f"the cluster shares no certificates now (Secret {CERTS_SECRET}: {answer.message}); they are removed two "
            "hours after they were uploaded. On a control-plane host: kubeinstall init phase upload-certs"
        )
    _require(answer, f"Secret {CERTS_SECRET}")
    data = answer.document.get("data") or {}
    files = {}
    for name, file in wanted.items():
        if name not in data and name in OPTIONAL_FILES:
            continue
        if name not in data:
            raise JoinError(f"Secret {CERTS_SECRET} lacks {name}; upload the certificates again")
        try:
            plain = decrypt_with_key(base64.b64decode(data[name]), key)
        except (PkiError, binascii.Error) as error:
            raise JoinError(
                f"error decoding certificate {name} of Secret {CERTS_SECRET}: {error}. The right key was printed when "
                "the certificates were uploaded"
            ) from error
        files[file] = base64.b64encode(plain).decode()
    return files


def host_configuration(join: Object, found: Found, cluster: Cluster) -> Object:
    """`kubeinstall_config` of this host, as the roles take it."""
    plane = join.get("controlPlane")
    registration = dict(join["nodeRegistration"])
    if registration.get("taints") is None:
        registration["taints"] = [dict(CONTROL_PLANE_TAINT)] if plane is not None else []
    name = registration["name"]
    address = _address(join)
    init = default_init(
        {
            "nodeRegistration": registration,
            "localAPIEndpoint": (plane or {}).get("localAPIEndpoint") or {},
            "patches": absolute_patches(join),
        },
        node_name=name,
        address=address,
    )
    return {
        "init": init,
        "cluster": _own(cluster.configuration, address, name, control_plane=plane is not None),
        "kubelet": {**cluster.kubelet, "apiVersion": KUBELET},
        "proxy": {"apiVersion": PROXY, **(cluster.facts.get("proxy") or {})},
        "host": {
            "roles": _roles(cluster, control_plane=plane is not None),
            "etcd": _etcd(cluster, name, address) if plane is not None else {},
            "balancer": _balancer(cluster),
            "joined_by_hand": True,
            "servers": _servers(cluster, found),
            "labels": {},
            "images": list(cluster.facts.get("images") or ["pause", "busybox", "nginx"]),
        },
    }


def require_shared_datastore(cluster: Cluster) -> None:
    """`JoinError` unless another control plane can be: all must read and write one datastore."""
    if cluster.configuration["etcd"].get("external"):
        return
    if (cluster.facts.get("etcd") or {}).get("members"):
        return
    raise JoinError(
        "this cluster keeps its state in a file on its only control plane (SQLite), which a second one cannot share. "
        "Nodes can join it; for more control planes make the cluster with etcd: kubeinstall apply"
    )


def _balancer(cluster: Cluster) -> str:
    """Where this host's own balancer listens; empty where there is nothing to balance over.

    API servers must have certificates for 127.0.0.1. A cluster made without balancers has its `controlPlaneEndpoint`,
    should it have one, for what a balancer does.
    """
    configuration = cluster.configuration
    external = configuration["etcd"].get("external")
    shared = bool(external or (cluster.facts.get("etcd") or {}).get("members"))
    names = configuration["apiServer"].get("certSANs") or []
    given = str(cluster.facts.get("balancer") or "")
    if not shared or "127.0.0.1" not in names:
        return ""
    if given or configuration.get("controlPlaneEndpoint"):
        return given
    return f"https://127.0.0.1:{BALANCER_PORT}"


def _servers(cluster: Cluster, found: Found) -> dict[str, str]:
    """`api-<address>` → host:port of every API server; of the one in cluster-info where nothing balances here."""
    known = list((cluster.facts.get("servers") or {}).values())
    if not _balancer(cluster) or not known:
        known = [urlsplit(found.server).netloc]
    return {server_name(address): address for address in known}


def _own(configuration: Object, address: str, name: str, *, control_plane: bool) -> Object:
    if not control_plane:
        return configuration
    server = dict(configuration["apiServer"])
    server["certSANs"] = list(dict.fromkeys([*(server.get("certSANs") or []), name, address]))
    return {**configuration, "apiServer": server}


def _roles(cluster: Cluster, *, control_plane: bool) -> list[str]:
    if not control_plane:
        return ["node"]
    etcd = cluster.facts.get("etcd") or {}
    stacked = etcd.get("stacked") and not cluster.configuration["etcd"].get("external")
    return ["control-plane", *(["etcd"] if stacked else []), "node"]


def _etcd(cluster: Cluster, name: str, address: str) -> Object:
    if cluster.configuration["etcd"].get("external"):
        return {}
    from kubeinstall.pki.identity import join_host_port

    etcd = cluster.facts.get("etcd") or {}
    members = {**(etcd.get("members") or {})}
    if etcd.get("stacked"):
        members[name] = address
    ordered = sorted(members, key=lambda member: member != name)
    urls = [f"https://{join_host_port(members[member], 2379)}" for member in ordered]
    return {"members": members, "client_urls": urls}


def _address(join: Object) -> str:
    """This host's own address: the node's `node-ip` where it is given."""
    plane = join.get("controlPlane")
    if plane is not None:
        return str(plane["localAPIEndpoint"]["advertiseAddress"])
    for argument in join["nodeRegistration"].get("kubeletExtraArgs") or []:
        if argument["name"] == "node-ip":
            return str(argument["value"]).split(",")[0]
    from kubeinstall.ansible.hostinfo import default_address

    return default_address()


def _config_map(found: Found, name: str) -> dict[str, str]:
    answer = _get(found, f"{_SYSTEM}/configmaps/{name}")
    _require(answer, f"ConfigMap kube-system/{name}")
    return answer.document.get("data") or {}


def _document(data: dict[str, str], key: str, name: str) -> Object:
    try:
        document = yaml.safe_load(data.get(key) or "")
    except yaml.YAMLError as error:
        raise JoinError(f"ConfigMap kube-system/{name}: {key} is not YAML") from error
    if not isinstance(document, dict):
        raise JoinError(f"ConfigMap kube-system/{name} has no {key}")
    return document


def _get(found: Found, path: str) -> Answer:
    try:
        return get(found.server, path, ca_pem=found.ca_pem, credentials=found.credentials)
    except NoAnswer as error:
        raise JoinError(
            f"cannot reach the cluster at the address that it gives: {error}"
        ) from error


def _require(answer: Answer, what: str) -> None:
    if answer.status == 200:
        return
    if answer.status == 401:
        raise JoinError(
            "the cluster does not accept the token: it has expired, was deleted, or is not for authentication. Make "
            "a new one on a control-plane host: kubeinstall token create --print-join-command"
        )
    raise JoinError(f"{what} cannot be read with this token: {answer.message}")
