"""The objects that make an API server a cluster: kubeadm's, and those of our own components."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import yaml

from kubeinstall.ansible.components import dns_address
from kubeinstall.config.schemas import KUBELET
from kubeinstall.pki.identity import join_host_port

Object = dict[str, Any]

RBAC = "rbac.authorization.k8s.io"
TOKEN_GROUP = "system:bootstrappers:kubeadm:default-node-token"  # noqa: S105 - a group's name
NODES_GROUP = "system:nodes"
READ = ["get", "list", "watch"]


UPLOAD_CONFIG, BOOTSTRAP_TOKEN, ADDON = "upload-config", "bootstrap-token", "addon"
#: Key in kubeadm-config of what only our own hosts read.
JOIN_FACTS = "kubeinstall"
PHASES = (UPLOAD_CONFIG, BOOTSTRAP_TOKEN, ADDON)


def cluster_objects(config: Object, phases: Collection[str] = PHASES) -> list[Object]:
    """Everything that `init` applies in those kubeadm phases, in no particular order."""
    objects = _administrators()
    if UPLOAD_CONFIG in phases:
        objects += _configuration(config)
    if BOOTSTRAP_TOKEN in phases:
        objects += _bootstrap()
    if ADDON in phases:
        objects += _pod_network()
        objects += _node_components()
        objects += [] if config["cluster"]["dns"].get("disabled") else _dns(config)
    return objects


def node_marks(config: Object) -> Object:
    """What `mark-control-plane` puts on the Node: labels, and the taints of the configuration."""
    labels = {
        "node-role.kubernetes.io/control-plane": "",
        "node.kubernetes.io/exclude-from-external-load-balancers": "",
    }
    taints = config["init"]["nodeRegistration"]["taints"]
    return {"labels": labels, "taints": taints}


def cluster_role_binding(name: str, role: str, kind: str, subject: str) -> Object:
    """A ClusterRoleBinding to one user or group."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": kind, "name": subject}],
    }


def _cluster_role(name: str, rules: list[Object]) -> Object:
    meta = {"name": name}
    return {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": meta, "rules": rules}


def _readable(name: str, namespace: str, configmap: str, subjects: list[Object]) -> list[Object]:
    meta = {"name": name, "namespace": namespace}
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [configmap],
        "verbs": ["get"],
    }
    role = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": meta, "rules": [rule]}
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
        "subjects": subjects,
    }
    return [role, binding]


def _subject(kind: str, name: str) -> Object:
    return {"apiGroup": RBAC, "kind": kind, "name": name}


def _administrators() -> list[Object]:
    return [
        cluster_role_binding(
            "kubeadm:cluster-admins", "cluster-admin", "Group", "kubeadm:cluster-admins"
        ),
        cluster_role_binding(
            "kubeadm:apiserver-kubelet-client",
            "system:kubelet-api-admin",
            "User",
            "kube-apiserver-kubelet-client",
        ),
    ]


def _bootstrap() -> list[Object]:
    client = "system:certificates.k8s.io:certificatesigningrequests"
    nodes = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}
    return [
        cluster_role_binding(
            "kubeadm:kubelet-bootstrap", "system:node-bootstrapper", "Group", TOKEN_GROUP
        ),
        cluster_role_binding(
            "kubeadm:node-autoapprove-bootstrap", f"{client}:nodeclient", "Group", TOKEN_GROUP
        ),
        cluster_role_binding(
            "kubeadm:node-autoapprove-certificate-rotation",
            f"{client}:selfnodeclient",
            "Group",
            NODES_GROUP,
        ),
        _cluster_role("kubeadm:get-nodes", [nodes]),
        cluster_role_binding("kubeadm:get-nodes", "kubeadm:get-nodes", "Group", TOKEN_GROUP),
        *_readable(
            "kubeadm:bootstrap-signer-clusterinfo",
            "kube-public",
            "cluster-info",
            [_subject("User", "system:anonymous")],
        ),
    ]


def _configuration(config: Object) -> list[Object]:
    members = [_subject("Group", NODES_GROUP), _subject("Group", TOKEN_GROUP)]
    kubelet = {"apiVersion": KUBELET, **config["kubelet"], "kind": "KubeletConfiguration"}
    return [
        _config_map(
            "kubeadm-config",
            {
                "ClusterConfiguration": _yaml(config["cluster"]),
                JOIN_FACTS: _yaml(join_facts(config)),
            },
        ),
        *_readable("kubeadm:nodes-kubeadm-config", "kube-system", "kubeadm-config", members),
        _config_map("kubelet-config", {"kubelet": _yaml(kubelet)}),
        *_readable("kubeadm:kubelet-config", "kube-system", "kubelet-config", members),
    ]


def join_facts(config: Object) -> Object:
    """What a host that joins by hand must know besides kubeadm's documents: etcd's members (none where the datastore
    is a file) and whether control planes are members, the API servers, the proxy's settings, the images that nodes
    have, and where their balancers listen, if they have any."""
    host, proxy = config.get("host") or {}, config.get("proxy") or {}
    members = (host.get("etcd") or {}).get("members") or {}
    facts: Object = {
        "etcd": {"members": members, "stacked": "etcd" in (host.get("roles") or ())},
        "servers": host.get("servers") or own_server(config["init"]),
        "proxy": {key: value for key, value in proxy.items() if key not in ("apiVersion", "kind")},
    }
    if host.get("images"):
        facts["images"] = host["images"]
    if host.get("balancer"):
        facts["balancer"] = host["balancer"]
    return facts


def own_server(init: Object) -> dict[str, str]:
    """Name → host:port of a host's own API server."""
    endpoint = init["localAPIEndpoint"]
    address = join_host_port(endpoint["advertiseAddress"], endpoint["bindPort"])
    return {init["nodeRegistration"]["name"]: address}


def cluster_info(kubeconfig: str) -> Object:
    """kube-public/cluster-info; its signatures are the bootstrap signer's to add."""
    return _config_map("cluster-info", {"kubeconfig": kubeconfig}, namespace="kube-public")


def _pod_network() -> list[Object]:
    rules = [
        {"apiGroups": [""], "resources": ["nodes", "pods", "namespaces"], "verbs": READ},
        {"apiGroups": [""], "resources": ["nodes", "nodes/status"], "verbs": ["patch", "update"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": READ},
        _EVENTS,
    ]
    return [
        _cluster_role("kubeinstall:kube-podnet", rules),
        cluster_role_binding(
            "kubeinstall:kube-podnet", "kubeinstall:kube-podnet", "User", "system:kube-podnet"
        ),
    ]


_EVENTS = {
    "apiGroups": ["", "events.k8s.io"],
    "resources": ["events"],
    "verbs": ["create", "patch", "update"],
}


def _node_components() -> list[Object]:
    """A worker's proxy, pod network and DNS are the node itself to the API server."""
    core = ["services", "namespaces", "pods", "nodes", "endpoints"]
    rules = [
        {"apiGroups": [""], "resources": core, "verbs": READ},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": READ},
        _EVENTS,
    ]
    name = "kubeinstall:node-components"
    return [_cluster_role(name, rules), cluster_role_binding(name, name, "Group", NODES_GROUP)]


def _dns(config: Object) -> list[Object]:
    rules = [
        {
            "apiGroups": [""],
            "resources": ["endpoints", "services", "pods", "namespaces", "nodes"],
            "verbs": READ,
        },
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
        _EVENTS,
    ]
    return [
        # Not upstream's system:kube-dns, which is for a service account of that name.
        _cluster_role("kubeinstall:kube-dns", rules),
        cluster_role_binding(
            "kubeinstall:kube-dns", "kubeinstall:kube-dns", "User", "system:kube-dns"
        ),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": "kube-dns",
                "namespace": "kube-system",
                "labels": {
                    "k8s-app": "kube-dns",
                    "kubernetes.io/cluster-service": "true",
                    "kubernetes.io/name": "CoreDNS",
                    # Every node answers at the address itself: nothing for the service proxy.
                    "service.kubernetes.io/service-proxy-name": "kube-dns",
                },
                "annotations": {"prometheus.io/port": "9153", "prometheus.io/scrape": "true"},
            },
            "spec": {
                "clusterIP": dns_address(config["cluster"]),
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                    {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
                    {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
                ],
            },
        },
    ]


def _config_map(name: str, data: dict[str, str], namespace: str = "kube-system") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def _yaml(document: Object) -> str:
    return yaml.safe_dump(document, sort_keys=True, default_flow_style=False)
