"""OpenAPI of aggregated servers: fetched after each look at them, and unpacked only when it changed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from kubeinstall.api.openapi import ExternalOpenAPI
from kubeinstall.apiserver.admission.webhooks.client import CallFailed
from kubeinstall.apiserver.aggregation.transport import BadTransport, identity_headers
from kubeinstall.apiserver.request import MASTERS_GROUP, User

if TYPE_CHECKING:
    from kubeinstall.apiserver.aggregation.services import Remote
    from kubeinstall.apiserver.aggregation.transport import Transport
    from kubeinstall.apiserver.catalog import Catalog

_READER = User("system:aggregator", groups=(MASTERS_GROUP,))
_SECONDS = 10.0
_LIMIT = 32 << 20  # bytes of a document


async def read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body. Raises `aiohttp.ClientPayloadError` above `limit` bytes."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > limit:
            raise aiohttp.ClientPayloadError("the answer is too large")
    return bytes(body)


async def fetch(transport: Transport, remote: Remote, catalog: Catalog) -> None:
    """Bring the documents up to date in the catalog. What a server lacks is left out."""
    place = (remote.group, remote.version)
    known = catalog.external_openapi.get(place)
    swagger, etag = await _get(transport, remote, "/openapi/v2", known.etag if known else "")
    index, _ = await _get(transport, remote, "/openapi/v3", "")
    if swagger is None and known is not None:
        swagger = known.swagger
        etag = etag or known.etag
    paths = (index or {}).get("paths")
    entry = (paths if isinstance(paths, dict) else {}).get(remote.path.strip("/")) or {}
    new = ExternalOpenAPI(
        remote.path.strip("/"), swagger, str(entry.get("serverRelativeURL") or ""), etag
    )
    if new != known:
        catalog.external_openapi[place] = new
        catalog.forget_documents()


async def _get(
    transport: Transport, remote: Remote, path: str, etag: str
) -> tuple[dict[str, Any] | None, str]:
    """A JSON document and its ETag; None when it has not changed or there is none."""
    headers = [("Accept", "application/json"), *identity_headers(_READER)]
    if etag:
        headers.append(("If-None-Match", etag))
    try:
        async with (
            asyncio.timeout(_SECONDS),
            transport.session.get(
                remote.origin + path,
                headers=headers,
                ssl=transport.context(remote.bundle, insecure=remote.insecure),
                allow_redirects=False,
            ) as response,
        ):
            if response.status != 200:
                return None, ""
            found = orjson.loads(await read(response, _LIMIT))
            return (found if isinstance(found, dict) else None), response.headers.get("Etag", "")
    except (CallFailed, BadTransport, aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None, ""
