"""Defaults of the kubeadm documents. Where ours differ from kubeadm's, the line says why."""

from __future__ import annotations

from typing import Any

from kubeinstall import KUBERNETES_VERSION
from kubeinstall.config.schemas import V1BETA4

Object = dict[str, Any]

CRI_SOCKET = "unix:///run/containerd/containerd.sock"
CERTIFICATES_DIR = "/etc/kubernetes/pki"
SERVICE_SUBNET = "10.96.0.0/12"
# kubeadm has no default pod range, since it installs no pod network. We do.
POD_SUBNET = "10.244.0.0/16"
DNS_DOMAIN = "cluster.local"
BIND_PORT = 6443
TOKEN_TTL = "24h0m0s"  # noqa: S105 - a duration
TOKEN_GROUP = "system:bootstrappers:kubeadm:default-node-token"  # noqa: S105 - a group
# P-256 instead of RSA-2048: made 700 times faster, and every client of Kubernetes takes it.
ALGORITHM = "ECDSA-P256"
CONTROL_PLANE_TAINT = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}

TIMEOUTS = {
    "controlPlaneComponentHealthCheck": "4m0s",
    "kubeletHealthCheck": "4m0s",
    "kubernetesAPICall": "1m0s",
    "etcdAPICall": "2m0s",
    "tlsBootstrap": "5m0s",
    "discovery": "5m0s",
    "upgradeManifests": "5m0s",
}


def default_init(document: Object, *, node_name: str, address: str) -> Object:
    """A complete InitConfiguration; `node_name` and `address` are what this host suggests.

    A missing token is left missing: only what creates one may invent it.
    """
    registration = _registration(document.get("nodeRegistration"), node_name)
    if registration.get("taints") is None:
        registration["taints"] = [dict(CONTROL_PLANE_TAINT)]
    endpoint = document.get("localAPIEndpoint") or {}
    return {
        **document,
        "apiVersion": V1BETA4,
        "kind": "InitConfiguration",
        "bootstrapTokens": [_token(token) for token in document.get("bootstrapTokens") or []],
        "nodeRegistration": registration,
        "localAPIEndpoint": {
            "advertiseAddress": endpoint.get("advertiseAddress") or address,
            "bindPort": endpoint.get("bindPort") or BIND_PORT,
        },
        "timeouts": {**TIMEOUTS, **(document.get("timeouts") or {})},
    }


def default_cluster(document: Object) -> Object:
    """A complete ClusterConfiguration."""
    networking = document.get("networking") or {}
    etcd = document.get("etcd") or {}
    if not etcd.get("external"):
        local = etcd.get("local") or {}
        etcd = {"local": {**local, "dataDir": local.get("dataDir") or "/var/lib/etcd"}}
    sections = ("apiServer", "controllerManager", "scheduler", "dns", "proxy")
    return {
        **document,
        "apiVersion": V1BETA4,
        "kind": "ClusterConfiguration",
        **{section: document.get(section) or {} for section in sections},
        "etcd": etcd,
        "networking": {
            "serviceSubnet": networking.get("serviceSubnet") or SERVICE_SUBNET,
            "podSubnet": networking.get("podSubnet") or POD_SUBNET,
            "dnsDomain": networking.get("dnsDomain") or DNS_DOMAIN,
        },
        "kubernetesVersion": document.get("kubernetesVersion") or KUBERNETES_VERSION,
        "certificatesDir": document.get("certificatesDir") or CERTIFICATES_DIR,
        "clusterName": document.get("clusterName") or "kubernetes",
        "encryptionAlgorithm": document.get("encryptionAlgorithm") or ALGORITHM,
        "certificateValidityPeriod": document.get("certificateValidityPeriod") or "8760h0m0s",
        "caCertificateValidityPeriod": document.get("caCertificateValidityPeriod") or "87600h0m0s",
    }


def default_join(document: Object, *, node_name: str, address: str) -> Object:
    """A complete JoinConfiguration."""
    complete = {
        **document,
        "apiVersion": V1BETA4,
        "kind": "JoinConfiguration",
        "caCertPath": document.get("caCertPath") or f"{CERTIFICATES_DIR}/ca.crt",
        "nodeRegistration": _registration(document.get("nodeRegistration"), node_name),
        "timeouts": {**TIMEOUTS, **(document.get("timeouts") or {})},
    }
    discovery = dict(complete.get("discovery") or {})
    token = discovery.get("bootstrapToken") or {}
    if not discovery.get("tlsBootstrapToken") and token.get("token"):
        discovery["tlsBootstrapToken"] = token["token"]
    complete["discovery"] = discovery
    if complete.get("controlPlane") is not None:
        plane = complete["controlPlane"]
        endpoint = plane.get("localAPIEndpoint") or {}
        complete["controlPlane"] = {
            **plane,
            "localAPIEndpoint": {
                "advertiseAddress": endpoint.get("advertiseAddress") or address,
                "bindPort": endpoint.get("bindPort") or BIND_PORT,
            },
        }
    return complete


def default_reset(document: Object) -> Object:
    """A complete ResetConfiguration."""
    return {
        **document,
        "apiVersion": V1BETA4,
        "kind": "ResetConfiguration",
        "certificatesDir": document.get("certificatesDir") or CERTIFICATES_DIR,
        "criSocket": document.get("criSocket") or CRI_SOCKET,
        "timeouts": {**TIMEOUTS, **(document.get("timeouts") or {})},
    }


def default_upgrade(document: Object) -> Object:
    """A complete UpgradeConfiguration."""
    renew = {"certificateRenewal": True, "etcdUpgrade": True}
    pull = {"imagePullPolicy": "IfNotPresent", "imagePullSerial": True}
    return {
        **document,
        "apiVersion": V1BETA4,
        "kind": "UpgradeConfiguration",
        "apply": {**renew, **pull, **(document.get("apply") or {})},
        "diff": {"contextLines": 3, **(document.get("diff") or {})},
        "node": {**renew, **pull, **(document.get("node") or {})},
        "plan": {"etcdUpgrade": True, **(document.get("plan") or {})},
        "timeouts": {**TIMEOUTS, **(document.get("timeouts") or {})},
    }


def _registration(given: Object | None, node_name: str) -> Object:
    registration = dict(given or {})
    return {
        **registration,
        "name": registration.get("name") or node_name,
        "criSocket": registration.get("criSocket") or CRI_SOCKET,
        "imagePullPolicy": registration.get("imagePullPolicy") or "IfNotPresent",
        "imagePullSerial": registration.get("imagePullSerial", True),
    }


def _token(token: Object) -> Object:
    complete = {
        **token,
        "usages": token.get("usages") or ["signing", "authentication"],
        "groups": token.get("groups") or [TOKEN_GROUP],
    }
    if not token.get("expires") and not token.get("ttl"):
        complete["ttl"] = TOKEN_TTL
    return complete
