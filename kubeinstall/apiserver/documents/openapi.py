"""`/openapi/v2` and `/openapi/v3`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeinstall.apiserver.core import Core
from kubeinstall.apiserver.http import Exchange
from kubeinstall.apiserver.negotiate import JSON
from kubeinstall.apiserver.respond import send, unknown_path

if TYPE_CHECKING:
    from kubeinstall.api.openapi import Document

# What clients ask for, and what upstream answers with: the one is not a valid media type.
_PROTOBUF_WANTED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_PROTOBUF_SENT = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_SEGMENT = "/openapi/v3/"


async def v2(core: Core, exchange: Exchange) -> None:
    """GET /openapi/v2, as JSON or as gnostic's protobuf."""
    documents = core.catalog.openapi
    if _PROTOBUF_WANTED in exchange.headers.get("Accept", ""):
        await _send(core, exchange, documents.v2_protobuf, _PROTOBUF_SENT)
    else:
        await _send(core, exchange, documents.v2_json, JSON)


async def v3_index(core: Core, exchange: Exchange) -> None:
    """GET /openapi/v3: the documents there are."""
    await _send(core, exchange, core.catalog.openapi.v3_index, JSON)


async def v3(core: Core, exchange: Exchange) -> None:
    """GET /openapi/v3/GROUP-VERSION-PATH, e.g. /openapi/v3/apis/apps/v1."""
    name = exchange.path.removeprefix(_SEGMENT)
    await _send(core, exchange, lambda: core.catalog.openapi.v3(name), JSON)


async def _send(
    core: Core, exchange: Exchange, build: Callable[[], Document | None], media_type: str
) -> None:
    # Megabytes that take a while to build the first time: in a thread, one at a time.
    async with core.building:
        document = await asyncio.to_thread(build)
    if document is None:
        unknown_path(exchange)
        return
    headers = [("Etag", document.etag), ("Vary", "Accept-Encoding"), ("Vary", "Accept")]
    if "hash" in exchange.query:  # the index names documents by their hash: they never change
        headers.append(("Expires", "Thu, 31 Dec 2099 00:00:00 GMT"))
    if document.etag in exchange.headers.get("If-None-Match", ""):
        exchange.respond(304, "", b"", headers)
        return
    await send(exchange, 200, document.body, media_type, headers)
