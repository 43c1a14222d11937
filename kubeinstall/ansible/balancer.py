"""Each host's own way to every API server: Debian's haproxy on 127.0.0.1, which asks `/readyz` of them all."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from kubeinstall.ansible import paths
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.services import Service, ensure_services
from kubeinstall.ansible.textfiles import ensure_text
from kubeinstall.balancer import haproxy

NAME = "kube-balancer"
CONFIG = paths.KUBERNETES / "haproxy.cfg"
_BIND = re.compile(r"^ +bind (\S+)$", re.MULTILINE)


def configuration(url: str, servers: Mapping[str, str]) -> str:
    """haproxy's file. `url` is where to listen, `servers` are name → host:port."""
    return haproxy.render(urlsplit(url).netloc, servers)


def listening() -> str:
    """The URL that this host's balancer listens at by its file; empty where there is none."""
    found = _BIND.search(CONFIG.read_text()) if CONFIG.exists() else None
    return f"https://{found[1]}" if found else ""


def ensure_balancer(
    url: str,
    servers: Mapping[str, str],
    *,
    check: bool,
    kept: bool = False,
    joined: bool = False,
) -> Outcome:
    """Configuration and service; a changed list of servers is a reload's worth of interruption.

    `kept`: kube-servers looks after the list on this host, from when it has `joined`.
    """
    text = configuration(url, servers)
    outcome = Outcome()
    if not (kept and joined and CONFIG.exists()):
        outcome.extend(ensure_text(CONFIG, text, check=check))
    service = Service(
        name=NAME,
        command=(haproxy.BINARY, "-Ws", "-f", str(CONFIG)),
        description="Kubernetes API load balancer of this host",
        digest="" if kept else hashlib.sha256(text.encode()).hexdigest()[:16],
    )
    if kept and outcome.changed and not check:
        haproxy.reload(CONFIG)
    outcome.extend(ensure_services([service], check=check))
    return outcome
