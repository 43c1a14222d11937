"""A pod's resolv.conf, as upstream's `network/dns.Configurer`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kubeinstall.api.types import Object
from kubeinstall.kubelet.pod import spec

MAX_SERVERS = 3
MAX_SEARCHES = 32
CLUSTER_OPTIONS = ("ndots:5",)


@dataclass(slots=True)
class Resolver:
    """The three parts of a resolv.conf."""

    servers: list[str] = field(default_factory=list)
    searches: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)


def parse_resolv_conf(text: str) -> Resolver:
    """Read a resolv.conf; the last `search` line counts."""
    found = Resolver()
    for line in text.splitlines():
        words = line.split("#", 1)[0].split(";", 1)[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            found.servers.append(words[1])
        elif words[0] == "search":
            found.searches = [word if word == "." else word.rstrip(".") for word in words[1:]]
        elif words[0] == "options":
            found.options = words[1:]
    return found


def host_resolver(path: str) -> Resolver:
    """The host's resolv.conf; nothing where there is no file or none is configured."""
    if not path:
        return Resolver()
    try:
        return parse_resolv_conf(Path(path).read_text())
    except OSError:
        return Resolver()


def pod_resolver(
    pod: Object, *, cluster_dns: Sequence[str], domain: str, resolv_conf: str
) -> tuple[Resolver, bool]:
    """The pod's resolver, and whether ClusterFirst had to fall back to the host's (no cluster DNS known)."""
    policy = pod["spec"].get("dnsPolicy") or "ClusterFirst"
    host = host_resolver(resolv_conf)
    fell_back = False
    if policy == "ClusterFirst" and spec.host_network(pod):
        policy = "Default"
    if policy in ("ClusterFirst", "ClusterFirstWithHostNet") and not cluster_dns:
        fell_back, policy = True, "Default"
    if policy == "None":
        made = Resolver()
    elif policy == "Default":
        made = Resolver(host.servers, host.searches, host.options)
    else:
        made = Resolver(list(cluster_dns), list(host.searches), list(CLUSTER_OPTIONS))
        if domain:
            space = spec.namespace(pod)
            made.searches = [f"{space}.svc.{domain}", f"svc.{domain}", domain, *host.searches]
    _apply_config(made, pod["spec"].get("dnsConfig") or {})
    made.servers = _unique(made.servers)[:MAX_SERVERS]
    made.searches = _unique(made.searches)[:MAX_SEARCHES]
    return made, fell_back


def _apply_config(made: Resolver, config: Object) -> None:
    made.servers = made.servers + list(config.get("nameservers") or [])
    made.searches = made.searches + list(config.get("searches") or [])
    options = {option.split(":", 1)[0]: option for option in made.options}
    for option in config.get("options") or []:
        value = option.get("value")
        options[option["name"]] = f"{option['name']}:{value}" if value else option["name"]
    made.options = list(options.values())


def _unique(items: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(items))
