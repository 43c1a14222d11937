"""Continue tokens: upstream's, so that a client may look into them as it may into upstream's.

Base64 (URL alphabet, no padding) of `{"v":"meta.k8s.io/v1","rv":7,"start":"name\\u0000"}`. `rv` -1 is
the inconsistent continuation that a 410 offers.
"""

from __future__ import annotations

import base64
import posixpath
import string
from typing import NamedTuple

import orjson

from kubeinstall.errors import BadRequest

_VERSION = "meta.k8s.io/v1"
_ALPHABET = frozenset(string.ascii_letters + string.digits + "-_")


class Continuation(NamedTuple):
    """Where to go on: the revision (negative: the newest) and the first key."""

    revision: int
    start: str


def encode(revision: int, last: str) -> str:
    """The token to go on after the key `last`."""
    text = orjson.dumps({"v": _VERSION, "rv": revision, "start": last + "\0"})
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def decode(token: str) -> Continuation:
    """Read a token; raises `BadRequest` with upstream's message."""
    try:
        return _decode(token)
    except ValueError as error:
        raise BadRequest(f"invalid continue token: {error}") from error


def _decode(token: str) -> Continuation:
    for position, character in enumerate(token):
        if character not in _ALPHABET:
            raise ValueError(
                f"continue key is not valid: illegal base64 data at input byte {position}"
            )
    if len(token) % 4 == 1:
        raise ValueError(
            f"continue key is not valid: illegal base64 data at input byte {len(token) - 1}"
        )
    data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    try:
        read = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"continue key is not valid: {_go_json_error(data)}") from error
    if not isinstance(read, dict) or read.get("v") != _VERSION:
        version = read.get("v", "") if isinstance(read, dict) else ""
        raise ValueError(
            f'continue key is not valid: server does not recognize this encoded version "{version}"'
        )
    start, revision = read.get("start", ""), read.get("rv", 0)
    if not start:
        raise ValueError(
            "continue key is not valid: encoded start key empty (version meta.k8s.io/v1)"
        )
    if revision == 0:
        raise ValueError(
            f"continue key is not valid: incorrect encoded start resourceVersion (version {_VERSION})"
        )
    key = start if start.startswith("/") else "/" + start
    if posixpath.normpath(key) != key:
        raise ValueError(f"continue key is not valid: {start}")
    return Continuation(int(revision), key[1:])


def _go_json_error(data: bytes) -> str:
    """What Go's decoder says where the first byte cannot begin a value."""
    text = data.lstrip(b" \t\r\n")
    if not text:
        return "unexpected end of JSON input"
    if chr(text[0]) in '{["-0123456789tfn':
        return "unexpected end of JSON input"
    return f"invalid character '{chr(text[0])}' looking for beginning of value"
