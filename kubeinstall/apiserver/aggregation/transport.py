"""Connections to aggregated API servers: by service, with the front proxy's client certificate."""

from __future__ import annotations

import base64
import ssl
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import aiohttp

from kubeinstall.apiserver.admission.webhooks.client import ServiceResolver
from kubeinstall.apiserver.config import ApiServerSettings
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import User
from kubeinstall.errors import KubeinstallError

_CONNECTIONS = 256  # at most, to all aggregated servers together
_KEEP_SECONDS = 10.0
_CONTEXTS = 64  # TLS contexts kept, one a CA bundle
_PLAIN = "!#$&'*+-.^_`|~"  # may stand in a header's name as they are, with letters and digits


class BadTransport(KubeinstallError):
    """The connection cannot even be set up: the CA bundle or our own certificate is no good."""


def identity_headers(user: User) -> list[tuple[str, str]]:
    """What tells an aggregated server who asks; it believes them from our client certificate."""
    headers = [("X-Remote-User", user.name)]
    if user.uid:
        headers.append(("X-Remote-Uid", user.uid))
    headers += [("X-Remote-Group", group) for group in user.groups]
    headers += [
        (f"X-Remote-Extra-{quote(key, safe=_PLAIN)}", value)
        for key, values in user.extra.items()
        for value in values
    ]
    return headers


def without_identity(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """A client's headers less those by which it could claim to be somebody, or has done so to us."""
    prefixes = ("x-remote-", "impersonate-")
    return [(name, value) for name, value in headers if not name.lower().startswith(prefixes)]


class Transport:
    """The HTTP client for aggregated servers."""

    def __init__(self, settings: ApiServerSettings, registry: Registry) -> None:
        self._settings = settings
        self._registry = registry
        self._session: aiohttp.ClientSession | None = None
        self._contexts: OrderedDict[tuple[object, ...], ssl.SSLContext] = OrderedDict()

    @property
    def session(self) -> aiohttp.ClientSession:
        """It resolves `NAME.NAMESPACE.svc` to a ready endpoint, decodes nothing and follows nothing."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=_CONNECTIONS,
                    keepalive_timeout=_KEEP_SECONDS,
                    use_dns_cache=False,
                    resolver=ServiceResolver(self._registry),
                ),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self._settings.kubelet_timeout
                ),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        return self._session

    def context(self, bundle: str, *, insecure: bool) -> ssl.SSLContext:
        """TLS of an APIService with that `caBundle`. Raises `BadTransport`."""
        certificate, key = (
            self._settings.proxy_client_cert_file,
            self._settings.proxy_client_key_file,
        )
        # Its time of change is part of the key, so that a renewed certificate is used at once.
        kept = (bundle, insecure, _changed(certificate))
        found = self._contexts.get(kept)
        if found is not None:
            self._contexts.move_to_end(kept)
            return found
        try:
            found = _context(bundle, insecure)
            if certificate is not None:
                found.load_cert_chain(certificate, key)
        except (ValueError, OSError) as error:  # ssl.SSLError is an OSError
            raise BadTransport(f"unable to load root certificates: {error}") from error
        self._contexts[kept] = found
        if len(self._contexts) > _CONTEXTS:
            self._contexts.popitem(last=False)
        return found

    async def close(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()


def _context(bundle: str, insecure: bool) -> ssl.SSLContext:
    if bundle:
        context = ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
    else:
        context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _changed(path: Path | None) -> int:
    return 0 if path is None else path.stat().st_mtime_ns
