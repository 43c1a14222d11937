"""`/openapi/v2` and `/openapi/v3`."""

from __future__ import annotations

import hashlib

from kubeinstall.apiserver.core import Core
from kubeinstall.apiserver.http import Exchange
from kubeinstall.apiserver.negotiate import JSON
from kubeinstall.apiserver.respond import send, unknown_path

_PROTOBUF_V2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_PROTOBUF_V2_OLD = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


async def v2(_core: Core, exchange: Exchange) -> None:
    """GET /openapi/v2, as JSON or as gnostic's protobuf."""
    from kubeinstall.api import openapi

    accept = exchange.headers.get("Accept", "")
    if _PROTOBUF_V2 in accept:
        await _send(exchange, openapi.v2_protobuf(), _PROTOBUF_V2_OLD)
    else:
        await _send(exchange, openapi.v2_json(), JSON)


async def v3_index(_core: Core, exchange: Exchange) -> None:
    """GET /openapi/v3: the documents there are."""
    from kubeinstall.api import openapi

    await _send(exchange, openapi.v3_index(), JSON)


async def v3(_core: Core, exchange: Exchange) -> None:
    """GET /openapi/v3/GROUP-VERSION-PATH, e.g. /openapi/v3/apis/apps/v1."""
    from kubeinstall.api import openapi

    document = openapi.v3(exchange.path.removeprefix("/openapi/v3/"))
    if document is None:
        unknown_path(exchange)
        return
    await _send(exchange, document, JSON)


async def _send(exchange: Exchange, data: bytes, media_type: str) -> None:
    """Documents change only with the server: clients keep them by their ETag."""
    tag = f'"{hashlib.sha512(data).hexdigest().upper()}"'
    headers = [("Etag", tag), ("Vary", "Accept-Encoding"), ("Vary", "Accept")]
    if tag in exchange.headers.get("If-None-Match", ""):
        exchange.respond(304, "", b"", headers)
        return
    await send(exchange, 200, data, media_type, headers)
