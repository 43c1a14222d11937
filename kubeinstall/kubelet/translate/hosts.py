"""A pod's /etc/hosts, which the kubelet manages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kubeinstall.api.types import Object
from kubeinstall.kubelet.pod import spec

HOSTS_PATH = "/etc/hosts"

_HEAD = """\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
_HOST_NETWORK_HEAD = "# Kubernetes-managed hosts file (host network).\n"


def hosts_file(pod: Object, ips: Sequence[str], domain: str) -> str:
    """The file's text; `ips` are the pod's addresses, `domain` the cluster's."""
    aliases = _aliases(pod)
    if spec.host_network(pod):
        return _HOST_NETWORK_HEAD + Path(HOSTS_PATH).read_text() + aliases
    host, subdomain = spec.fqdn(pod, domain)
    lines = [f"{ip}\t{host}.{subdomain}\t{host}" if subdomain else f"{ip}\t{host}" for ip in ips]
    return _HEAD + "".join(f"{line}\n" for line in lines) + aliases


def _aliases(pod: Object) -> str:
    listed = pod["spec"].get("hostAliases") or []
    if not listed:
        return ""
    lines = ["", "# Entries added by HostAliases."]
    lines += [f"{entry['ip']}\t" + "\t".join(entry.get("hostnames") or []) for entry in listed]
    return "\n".join(lines) + "\n"
