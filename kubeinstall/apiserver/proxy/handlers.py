"""Which subresources are handed on, and by what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kubeinstall.apiserver.core import Call, Core
from kubeinstall.apiserver.proxy import pods, web

Handler = Callable[[Core, Call], Awaitable[None]]

#: (group, plural, subresource) → methods that its routes have, and its handler.
PROXIES: dict[tuple[str, str, str], tuple[frozenset[str], Handler]] = {
    ("", "pods", "exec"): (frozenset({"GET", "POST"}), pods.stream),
    ("", "pods", "attach"): (frozenset({"GET", "POST"}), pods.stream),
    ("", "pods", "portforward"): (frozenset({"GET", "POST"}), pods.port_forward),
    ("", "pods", "log"): (frozenset({"GET"}), pods.log),
    ("", "pods", "proxy"): (
        frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}),
        web.proxy_pod,
    ),
    ("", "services", "proxy"): (
        frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}),
        web.proxy_service,
    ),
    ("", "nodes", "proxy"): (
        frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}),
        web.proxy_node,
    ),
}
