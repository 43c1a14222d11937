"""Answers: objects, statuses and plain text in the form that was negotiated."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from kubeinstall.api.types import Object
from kubeinstall.apiserver.http import Exchange
from kubeinstall.apiserver.negotiate import JSON, PROTOBUF, YAML, Output
from kubeinstall.errors import NotFound, StatusError

#: Bodies above this many bytes are compressed for clients that accept gzip, as upstream's.
_GZIP_ABOVE = 128 * 1024
_GZIP_HEADERS = (("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"))
_PLAIN_OUTPUT = Output()


def encode(obj: Object, output: Output) -> bytes:
    """The object's bytes in `output`'s media type."""
    if output.media_type == JSON:
        if output.pretty:
            return orjson.dumps(obj, option=orjson.OPT_INDENT_2)
        return orjson.dumps(obj) + b"\n"
    if output.media_type == YAML:
        return _yaml(obj)
    from kubeinstall.api import protobuf

    return protobuf.encode(obj)


def _yaml(obj: Object) -> bytes:
    import yaml

    text: bytes = yaml.dump(
        obj,
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        default_flow_style=False,
        allow_unicode=True,
        encoding="utf-8",
    )
    return text


class Pieces(NamedTuple):
    """A body that is made while it is sent."""

    length: int
    pieces: Iterable[bytes]


async def send(
    exchange: Exchange,
    status: int,
    body: bytes,
    media_type: str,
    headers: Iterable[tuple[str, str]] = (),
) -> None:
    """Send encoded bytes, compressed where they are many and the client takes gzip."""
    if len(body) > _GZIP_ABOVE and _takes_gzip(exchange):
        packed = await asyncio.to_thread(_gzip, [body])
        exchange.respond(status, media_type, packed, [*headers, *_GZIP_HEADERS])
    else:
        exchange.respond(status, media_type, body, headers)


async def send_pieces(exchange: Exchange, body: Pieces, media_type: str) -> None:
    """As `send`, with 200, for what may be very large."""
    if body.length <= _GZIP_ABOVE:
        exchange.respond(200, media_type, b"".join(body.pieces))
    elif _takes_gzip(exchange):
        packed = await asyncio.to_thread(_gzip, body.pieces)
        length = sum(map(len, packed))
        await exchange.respond_in_pieces(200, media_type, packed, length, _GZIP_HEADERS)
    else:
        await exchange.respond_in_pieces(200, media_type, body.pieces, body.length)


def _takes_gzip(exchange: Exchange) -> bool:
    return "gzip" in exchange.headers.get("Accept-Encoding", "")


def _gzip(pieces: Iterable[bytes]) -> list[bytes]:
    # Level 1, as upstream: the network is seldom the bottleneck. 31: a gzip header.
    compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
    return [*(compressor.compress(piece) for piece in pieces), compressor.flush()]


async def send_object(
    exchange: Exchange, status: int, obj: Object, output: Output = _PLAIN_OUTPUT
) -> None:
    """Send a decoded object."""
    await send(exchange, status, encode(obj, output), output.media_type)


def send_text(exchange: Exchange, status: int, text: str) -> None:
    """Send plain text, as health checks and unknown paths answer."""
    exchange.respond(
        status,
        "text/plain; charset=utf-8",
        text.encode(),
        [("X-Content-Type-Options", "nosniff")],
    )


def send_error(exchange: Exchange, error: StatusError, output: Output = _PLAIN_OUTPUT) -> None:
    """Send an error's `Status`."""
    headers: list[tuple[str, str]] = []
    if error.retry_after is not None:
        headers.append(("Retry-After", str(error.retry_after)))
    form = Output(output.media_type, pretty=output.pretty)
    if form.media_type == PROTOBUF:
        form = _PLAIN_OUTPUT
    exchange.respond(error.status_code, form.media_type, encode(error.to_status(), form), headers)


def unknown_path(exchange: Exchange) -> None:
    """No such path outside the served groups: plain text, as Go's."""
    send_text(exchange, 404, "404 page not found\n")


def unknown_route() -> NotFound:
    """No such path below a served group version: the router's own answer."""
    return NotFound("the server could not find the requested resource", details={})


def success(**fields: Any) -> Object:
    """A `Status` that says that all went well."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", **fields}
