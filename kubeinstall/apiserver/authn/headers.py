"""Reading repeated headers, bearer tokens and the headers of a front proxy."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote

from kubeinstall.apiserver.authn.x509 import CertificateBundle, common_name
from kubeinstall.apiserver.config import ApiServerSettings
from kubeinstall.apiserver.request import User

Headers = Mapping[str, str]
_WEBSOCKET_PREFIX = "base64url.bearer.authorization.k8s.io."


def all_values(headers: Headers, name: str) -> list[str]:
    """Every value of a header, in order."""
    getall = getattr(headers, "getall", None)
    if getall is not None:
        return list(getall(name, ()))
    value = headers.get(name)
    return [] if value is None else [value]


def prefixed(headers: Headers, prefix: str) -> Iterator[tuple[str, str]]:
    """(rest of the name in lower case with %-escapes resolved, value) of headers with a prefix."""
    wanted = prefix.lower()
    for name, value in headers.items():
        lowered = name.lower()
        if lowered.startswith(wanted):
            yield unquote(lowered[len(wanted) :]), value


def bearer_token(headers: Headers) -> str:
    """The bearer token of the Authorization header, or of a WebSocket's subprotocols, or ""."""
    scheme, _, rest = headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return rest.strip().split(" ")[0]
    if headers.get("Upgrade", "").lower() == "websocket":
        return _websocket_token(headers)
    return ""


def _websocket_token(headers: Headers) -> str:
    for value in all_values(headers, "Sec-WebSocket-Protocol"):
        for protocol in value.split(","):
            encoded = protocol.strip()
            if encoded.startswith(_WEBSOCKET_PREFIX):
                text = encoded.removeprefix(_WEBSOCKET_PREFIX)
                try:
                    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
                except (binascii.Error, UnicodeDecodeError):
                    return ""
    return ""


class FrontProxy:
    """Authenticates requests that a trusted proxy passes on, by the headers that it sets."""

    def __init__(
        self,
        bundle: CertificateBundle,
        *,
        allowed_names: Sequence[str] = (),
        user_headers: Sequence[str] = ("X-Remote-User",),
        group_headers: Sequence[str] = ("X-Remote-Group",),
        extra_prefixes: Sequence[str] = ("X-Remote-Extra-",),
    ) -> None:
        self._bundle = bundle
        self._allowed = frozenset(allowed_names)
        self._user_headers = tuple(user_headers)
        self._group_headers = tuple(group_headers)
        self._extra_prefixes = tuple(extra_prefixes)

    def user(self, headers: Headers, der: bytes) -> User | None:
        """The user that the proxy vouches for; None when the peer is no proxy of ours."""
        certificate = self._bundle.verify(der)
        if certificate is None:
            return None
        if self._allowed and common_name(certificate) not in self._allowed:
            return None
        name = next((headers[h] for h in self._user_headers if headers.get(h)), "")
        if not name:
            return None
        groups = tuple(
            value for header in self._group_headers for value in all_values(headers, header)
        )
        extra: dict[str, tuple[str, ...]] = {}
        for prefix in self._extra_prefixes:
            for key, value in prefixed(headers, prefix):
                extra[key] = (*extra.get(key, ()), value)
        return User(name, groups=groups, extra=extra)


def build_front_proxy(settings: ApiServerSettings) -> FrontProxy | None:
    """The front proxy that the settings describe, if any."""
    if settings.requestheader_client_ca_file is None:
        return None
    return FrontProxy(
        CertificateBundle(settings.requestheader_client_ca_file),
        allowed_names=settings.requestheader_allowed_names,
        user_headers=settings.requestheader_username_headers or ("X-Remote-User",),
        group_headers=settings.requestheader_group_headers or ("X-Remote-Group",),
        extra_prefixes=settings.requestheader_extra_headers_prefix or ("X-Remote-Extra-",),
    )
