"""Every host's complete configuration: the documents that `init` makes, and what only several hosts need (`host`)."""

from __future__ import annotations

from typing import Any

from kubeinstall.ansible.etcd_timer import DEFAULTS
from kubeinstall.ansible.inventory.model import Inventory
from kubeinstall.ansible.inventory.schema import API_PORT, BALANCER_PORT
from kubeinstall.config.defaults import CONTROL_PLANE_TAINT, default_cluster, default_init
from kubeinstall.config.effective import merge
from kubeinstall.config.schemas import KUBELET, PROXY
from kubeinstall.pki.identity import join_host_port

Object = dict[str, Any]

ETCD_CLIENT, ETCD_PEER = 2379, 2380


def configuration_of(inventory: Inventory, name: str) -> Object:
    """`kubeinstall_config` of a host.

    `host` holds: `roles` (control-plane, etcd, node), `etcd` (`members`: name → address, `client_urls` with this
    host's own first, `upkeep`: its snapshots), `balancer` (URL of the host's own load balancer, empty on a host alone),
    `servers` (control plane → host:port), `labels`, `images`.
    """
    host = inventory.hosts[name]
    shared = host.variables
    port = int(shared.get("kubeinstall_api_port") or API_PORT)
    cluster = default_cluster(_cluster(inventory, shared.get("kubeinstall_cluster") or {}))
    registration = {"name": name, "taints": _taints(inventory, name)}
    endpoint = {"advertiseAddress": host.address, "bindPort": port}
    init = default_init(
        {"nodeRegistration": registration, "localAPIEndpoint": endpoint},
        node_name=name,
        address=host.address,
    )
    return {
        "init": init,
        "cluster": cluster,
        "kubelet": {"apiVersion": KUBELET, **(shared.get("kubeinstall_kubelet") or {})},
        "proxy": {"apiVersion": PROXY, **(shared.get("kubeinstall_proxy") or {})},
        "host": {
            "roles": _roles(inventory, name),
            "etcd": _etcd(inventory, name),
            "balancer": _balancer(inventory, shared),
            "servers": {
                other: join_host_port(inventory.hosts[other].address, port)
                for other in inventory.control_planes
            },
            "labels": shared.get("node_labels") or {},
            "images": list(
                dict.fromkeys(
                    ["pause", *(shared.get("kubeinstall_images") or ["busybox", "nginx"])]
                )
            ),
        },
    }


def _roles(inventory: Inventory, name: str) -> list[str]:
    control = name in inventory.control_planes
    pairs = (
        ("control-plane", control),
        ("etcd", name in inventory.etcd),
        ("node", control or name in inventory.nodes),
    )
    return [role for role, has in pairs if has]


def _cluster(inventory: Inventory, given: Object) -> Object:
    """Every API server's certificate is good for all names that a balancer may reach it by."""
    control = [inventory.hosts[name] for name in inventory.control_planes]
    names = [name for host in control for name in (host.name, host.address)]
    given_names = (given.get("apiServer") or {}).get("certSANs") or []
    sans = list(dict.fromkeys([*given_names, *names, "localhost", "127.0.0.1"]))
    return merge(given, {"apiServer": {"certSANs": sans}})


def _taints(inventory: Inventory, name: str) -> list[Object]:
    """A control plane that is not in `kube_node` takes no ordinary pods."""
    given: list[Object] = inventory.hosts[name].variables.get("node_taints") or []
    if name in inventory.control_planes and name not in inventory.nodes:
        return [dict(CONTROL_PLANE_TAINT), *given]
    return given


def _etcd(inventory: Inventory, name: str) -> Object:
    members = {other: inventory.hosts[other].address for other in inventory.etcd}
    ordered = sorted(members, key=lambda other: other != name)
    urls = [f"https://{join_host_port(members[other], ETCD_CLIENT)}" for other in ordered]
    given = inventory.hosts[name].variables.get("kubeinstall_etcd_upkeep") or {}
    return {"members": members, "client_urls": urls, "upkeep": {**DEFAULTS, **given}}


def _balancer(inventory: Inventory, shared: Object) -> str:
    if len(inventory.hosts) == 1:
        return ""
    return f"https://127.0.0.1:{int(shared.get('kubeinstall_balancer_port') or BALANCER_PORT)}"
