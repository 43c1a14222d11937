"""Where kubelets are, and how to speak to them."""

from __future__ import annotations

import ssl
from typing import NamedTuple

import aiohttp

from kubeinstall.api import resources
from kubeinstall.api.resources import Resource
from kubeinstall.apiserver.config import ApiServerSettings
from kubeinstall.apiserver.registry import Registry
from kubeinstall.errors import InternalError

_DEFAULT_PORT = 10250
_CONNECTIONS = 256  # at most, to all kubelets and proxied servers together


class Kubelet(NamedTuple):
    """A kubelet's address."""

    host: str
    port: int

    @property
    def origin(self) -> str:
        """`https://host:port`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"


def builtin(group: str, version: str, name: str) -> Resource:
    """A built-in resource that certainly exists."""
    found = resources.find(group, version, name)
    if found is None:
        raise InternalError(f"no resource {name}")
    return found


NODES = builtin("", "v1", "nodes")


class Kubelets:
    """Finds kubelets by node, and holds the client for them and for proxied pods and services."""

    def __init__(self, settings: ApiServerSettings, registry: Registry) -> None:
        self._settings = settings
        self._registry = registry
        self._tls: ssl.SSLContext | None = None
        self._session: aiohttp.ClientSession | None = None

    def find(self, node_name: str) -> Kubelet:
        """The kubelet of a node. Raises `NotFound`, and `InternalError` without an address."""
        node = self._registry.get(NODES, node_name)
        status = node.get("status") or {}
        endpoint = (status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
        port = endpoint.get("Port") or _DEFAULT_PORT
        addresses = status.get("addresses") or []
        for wanted in self._settings.kubelet_preferred_address_types:
            for address in addresses:
                if address.get("type") == wanted and address.get("address"):
                    return Kubelet(address["address"], port)
        raise InternalError(
            f"Internal error occurred: no preferred addresses found; known addresses: {addresses}"
        )

    @property
    def tls(self) -> ssl.SSLContext:
        """For connections to kubelets: our client certificate, and their CA when it is known."""
        if self._tls is None:
            self._tls = _client_context(self._settings)
        return self._tls

    @property
    def session(self) -> aiohttp.ClientSession:
        """The HTTP client; it decodes nothing and follows nothing."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self._settings.kubelet_timeout
                ),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        return self._session

    async def close(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()


def _client_context(settings: ApiServerSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    if settings.kubelet_certificate_authority is not None:
        context.load_verify_locations(settings.kubelet_certificate_authority)
    else:
        # As upstream without the flag: kubelets sign their own serving certificates.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.kubelet_client_certificate is not None:
        context.load_cert_chain(settings.kubelet_client_certificate, settings.kubelet_client_key)
    return context
