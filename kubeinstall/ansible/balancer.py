"""Each host's own way to every API server: Debian's haproxy on 127.0.0.1, which asks `/readyz` of them all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from urllib.parse import urlsplit

from kubeinstall.ansible import paths
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.services import Service, ensure_services
from kubeinstall.ansible.textfiles import ensure_text

NAME = "kube-balancer"
CONFIG = paths.KUBERNETES / "haproxy.cfg"
BINARY = "/usr/sbin/haproxy"

_TEXT = """\
# Written by kubeinstall; changes are overwritten.
global
    maxconn 4000

defaults
    mode tcp
    maxconn 4000
    timeout connect 2s
    # Watches are silent for long; a dead server is noticed by its checks.
    timeout client 2h
    timeout server 2h
    timeout check 1s
    option clitcpka
    option srvtcpka
    option redispatch 1
    retries 3

frontend api
    bind {listen}
    default_backend servers

backend servers
    balance leastconn
    option httpchk GET /readyz
    # A server that says that it shuts down gets no new connections and keeps those it has, to finish what is asked on
    # them; one that fails otherwise loses them.
    http-check expect ! rstring "-.shutdown failed" error-status L7OKC
    http-check expect status 200
    # Only health is asked for here; what passes through is encrypted from end to end.
    default-server check check-ssl verify none inter 2s fastinter 500ms downinter 1s fall 2 rise 1 \
on-marked-down shutdown-sessions
{servers}
"""


def configuration(url: str, servers: Mapping[str, str]) -> str:
    """haproxy's file. `url` is where to listen, `servers` are name → host:port."""
    lines = [f"    server {name} {address}" for name, address in sorted(servers.items())]
    return _TEXT.format(listen=urlsplit(url).netloc, servers="\n".join(lines))


def ensure_balancer(url: str, servers: Mapping[str, str], *, check: bool) -> Outcome:
    """Configuration and service; a changed list of servers is a reload's worth of interruption."""
    text = configuration(url, servers)
    outcome = ensure_text(CONFIG, text, check=check)
    service = Service(
        name=NAME,
        command=(BINARY, "-Ws", "-f", str(CONFIG)),
        description="Kubernetes API load balancer of this host",
        digest=hashlib.sha256(text.encode()).hexdigest()[:16],
    )
    outcome.extend(ensure_services([service], check=check))
    return outcome
