"""`/etc/kubernetes/components.yaml`: each component's settings by upstream's flag names.

Values are kubeadm's; `extraArgs` of the configuration win over them, and the fields of a given
KubeProxyConfiguration become flags (`clusterCIDR` → `cluster-cidr`). The kubelet has its own file.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubeinstall.ansible import paths
from kubeinstall.config.effective import merge
from kubeinstall.config.schemas import KUBELET

Object = dict[str, Any]

CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
NODE = ("kubelet", "kube-proxy", "kube-podnet", "kube-dns", "kube-servers")
#: Longer than a balancer takes to see that a server shuts down: its checks are 2 s apart and take 1 s at most.
SHUTDOWN_DELAY = "4s"
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_META = {"apiVersion", "kind", "metadata"}


def component_settings(config: Object) -> dict[str, Object]:
    """Component name → flag → value, for a control-plane host that is also a node.

    A worker (`host` says so) has one identity, its kubelet's, which all of its components use.
    """
    cluster = config["cluster"]
    worker = is_worker(config)
    extra = {
        "kube-apiserver": cluster["apiServer"].get("extraArgs"),
        "kube-controller-manager": cluster["controllerManager"].get("extraArgs"),
        "kube-scheduler": cluster["scheduler"].get("extraArgs"),
        "kubelet": config["init"]["nodeRegistration"].get("kubeletExtraArgs"),
    }
    settings = {
        "kube-apiserver": _api_server(config),
        "kube-controller-manager": _controller_manager(config),
        "kube-scheduler": {"kubeconfig": _conf("scheduler"), "leader-elect": True},
        "kubelet": _kubelet(config),
        "kube-proxy": {**_proxy(config), **document_flags(config.get("proxy") or {})},
        "kube-podnet": {
            "kubeconfig": _conf("kubelet" if worker else "kube-podnet"),
            "hostname-override": config["init"]["nodeRegistration"]["name"],
            "cluster-dns": dns_address(cluster),
            "cluster-cidr": cluster["networking"]["podSubnet"],
        },
        "kube-dns": {
            "kubeconfig": _conf("kubelet" if worker else "kube-dns"),
            "cluster-dns": dns_address(cluster),
            "cluster-domain": cluster["networking"]["dnsDomain"],
        },
    }
    if keeps_servers(config):
        settings["kube-servers"] = {
            "kubeconfig": _conf("kubelet"),
            "bind-address": urlsplit(config["host"]["balancer"]).netloc,
        }
    if cluster["dns"].get("disabled"):
        del settings["kube-dns"]
    if cluster["proxy"].get("disabled"):
        del settings["kube-proxy"]
    for name, arguments in extra.items():
        settings[name].update(_arguments(arguments))
    if not settings["kube-apiserver"][
        "encryption-provider-config"
    ]:  # an extraArg without value: plain
        del settings["kube-apiserver"]["encryption-provider-config"]
    return settings


def encryption_file(config: Object) -> Path:
    """Keys of encryption at rest: beside the authorities, since all control planes must have the same."""
    return Path(config["cluster"]["certificatesDir"]) / "encryption-config.yaml"


def is_worker(config: Object) -> bool:
    """Whether the configuration is of a host without control plane."""
    host = config.get("host")
    return host is not None and "control-plane" not in host["roles"]


def keeps_servers(config: Object) -> bool:
    """Whether this host looks after its balancer's list itself: one that joined by hand is in no inventory."""
    host = config.get("host") or {}
    return bool(host.get("joined_by_hand") and host.get("balancer"))


def dns_address(cluster: Object) -> str:
    """The cluster DNS address: the tenth of the service range."""
    first = cluster["networking"]["serviceSubnet"].split(",")[0]
    return str(ipaddress.ip_network(first)[10])


def document_flags(document: Object) -> Object:
    """The plain fields of a component configuration document as flags."""
    return {
        flag_name(field): value
        for field, value in document.items()
        if field not in _META and value is not None and not isinstance(value, dict)
    }


def flag_name(field: str) -> str:
    """`clusterDNS` → `cluster-dns`, `maxPods` → `max-pods`."""
    return _WORD.sub("-", field).lower()


def _conf(name: str) -> str:
    return str(paths.KUBERNETES / f"{name}.conf")


def _arguments(arguments: list[Object] | None) -> Object:
    """extraArgs; a flag given more than once is a list, as upstream's flags take it."""
    found: Object = {}
    for argument in arguments or []:
        name, value = argument["name"], argument["value"]
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _api_server(config: Object) -> Object:
    cluster, endpoint = config["cluster"], config["init"]["localAPIEndpoint"]
    pki = Path(cluster["certificatesDir"])
    networking = cluster["networking"]
    settings: Object = {
        "advertise-address": endpoint["advertiseAddress"],
        "secure-port": endpoint["bindPort"],
        "allow-privileged": True,
        "authorization-mode": "Node,RBAC",
        "client-ca-file": f"{pki}/ca.crt",
        "enable-admission-plugins": "NodeRestriction",
        "enable-bootstrap-token-auth": True,
        "encryption-provider-config": str(encryption_file(config)),
        "kubelet-client-certificate": f"{pki}/apiserver-kubelet-client.crt",
        "kubelet-client-key": f"{pki}/apiserver-kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
        "proxy-client-cert-file": f"{pki}/front-proxy-client.crt",
        "proxy-client-key-file": f"{pki}/front-proxy-client.key",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-client-ca-file": f"{pki}/front-proxy-ca.crt",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "service-account-issuer": f"https://kubernetes.default.svc.{networking['dnsDomain']}",
        "service-account-key-file": f"{pki}/sa.pub",
        "service-account-signing-key-file": f"{pki}/sa.key",
        "service-cluster-ip-range": networking["serviceSubnet"],
        "tls-cert-file": f"{pki}/apiserver.crt",
        "tls-private-key-file": f"{pki}/apiserver.key",
    }
    if len((config.get("host") or {}).get("servers") or ()) > 1:
        settings["shutdown-delay-duration"] = SHUTDOWN_DELAY
    external = cluster["etcd"].get("external")
    members = (config.get("host") or {}).get("etcd") or {}
    if members.get("members"):
        settings["etcd-servers"] = ",".join(members["client_urls"])
        settings["etcd-cafile"] = f"{pki}/etcd/ca.crt"
        settings["etcd-certfile"] = f"{pki}/apiserver-etcd-client.crt"
        settings["etcd-keyfile"] = f"{pki}/apiserver-etcd-client.key"
    elif external:
        settings["etcd-servers"] = ",".join(external["endpoints"])
        for flag, field in (("ca", "caFile"), ("cert", "certFile"), ("key", "keyFile")):
            if external.get(field):
                settings[f"etcd-{flag}file"] = external[field]
    else:
        settings["storage-url"] = f"sqlite://{paths.DATASTORE}"
    return settings


def _controller_manager(config: Object) -> Object:
    cluster = config["cluster"]
    pki = cluster["certificatesDir"]
    return {
        "allocate-node-cidrs": True,
        "cluster-cidr": cluster["networking"]["podSubnet"],
        "cluster-name": cluster["clusterName"],
        "cluster-signing-cert-file": f"{pki}/ca.crt",
        "cluster-signing-key-file": f"{pki}/ca.key",
        "kubeconfig": _conf("controller-manager"),
        "leader-elect": True,
        "root-ca-file": f"{pki}/ca.crt",
        "service-account-private-key-file": f"{pki}/sa.key",
        "service-cluster-ip-range": cluster["networking"]["serviceSubnet"],
        "use-service-account-credentials": True,
    }


def _kubelet(config: Object) -> Object:
    registration = config["init"]["nodeRegistration"]
    taints = [f"{t['key']}={t.get('value', '')}:{t['effect']}" for t in registration["taints"]]
    settings: Object = {
        "config": str(paths.KUBELET / "config.yaml"),
        "container-runtime-endpoint": registration["criSocket"],
        "hostname-override": registration["name"],
        "kubeconfig": _conf("kubelet"),
        "node-ip": config["init"]["localAPIEndpoint"]["advertiseAddress"],
    }
    if taints:
        settings["register-with-taints"] = ",".join(taints)
    labels = (config.get("host") or {}).get("labels")
    if labels:
        settings["node-labels"] = ",".join(f"{k}={v}" for k, v in sorted(labels.items()))
    if is_worker(config):
        settings["bootstrap-kubeconfig"] = _conf("bootstrap-kubelet")
    return settings


def kubelet_configuration(config: Object, *, systemd_cgroup: bool) -> Object:
    """`/var/lib/kubelet/config.yaml`: kubeadm's choices, with the user's document laid over."""
    cluster = config["cluster"]
    ours: Object = {
        "apiVersion": KUBELET,
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{cluster['certificatesDir']}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "systemd" if systemd_cgroup else "cgroupfs",
        "clusterDNS": [dns_address(cluster)],
        "clusterDomain": cluster["networking"]["dnsDomain"],
        "containerRuntimeEndpoint": config["init"]["nodeRegistration"]["criSocket"],
        # The preflight warns about swap; a node with swap works, as far as upstream's rules go.
        "failSwapOn": False,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": 10248,
        "rotateCertificates": True,
        "staticPodPath": str(paths.KUBERNETES / "manifests"),
    }
    given = config.get("kubelet") or {}
    return merge(ours, {key: value for key, value in given.items() if value is not None})


def _proxy(config: Object) -> Object:
    return {
        "cluster-cidr": config["cluster"]["networking"]["podSubnet"],
        "hostname-override": config["init"]["nodeRegistration"]["name"],
        "kubeconfig": _conf("kubelet" if is_worker(config) else "kube-proxy"),
    }
