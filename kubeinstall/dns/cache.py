"""A small cache of other servers' answers, kept as they came."""

from __future__ import annotations

import struct
import time
from collections import OrderedDict
from dataclasses import dataclass

from kubeinstall.dns.wire import NOERROR, NXDOMAIN, TC, Query, WireError, ttl_offsets

Key = tuple[str, int, int, bool, bool]


@dataclass(slots=True)
class _Entry:
    message: bytes
    offsets: list[int]
    stored: float
    expires: float


class AnswerCache:
    """At most `size` answers for at most `longest` seconds each; the one unused longest goes first."""

    def __init__(self, size: int = 2000, longest: float = 30.0) -> None:
        self._size = size
        self._longest = longest
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, query: Query) -> bytes | None:
        """The answer for `query` with its id, its spelling of the name, and TTLs counted down."""
        key = _key(query)
        entry = self._entries.get(key)
        if entry is None:
            return None
        now = time.monotonic()
        if now >= entry.expires:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        age = int(now - entry.stored)
        message = bytearray(entry.message)
        struct.pack_into("!H", message, 0, query.id)
        message[12 : 12 + len(query.question)] = query.question
        for offset in entry.offsets:
            (ttl,) = struct.unpack_from("!I", message, offset)
            struct.pack_into("!I", message, offset, max(0, ttl - age))
        return bytes(message)

    def put(self, query: Query, message: bytes) -> None:
        """Keep an answer if it may be kept."""
        try:
            seconds, offsets = _lifetime(message)
        except (WireError, struct.error):
            return
        seconds = min(seconds, self._longest)
        if seconds <= 0:
            return
        now = time.monotonic()
        self._entries[_key(query)] = _Entry(message, offsets, now, now + seconds)
        self._entries.move_to_end(_key(query))
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)


def _key(query: Query) -> Key:
    return (query.name, query.type, query.klass, query.edns, query.dnssec_ok)


def _lifetime(message: bytes) -> tuple[float, list[int]]:
    _, flags, _, answers = struct.unpack_from("!4H", message)
    code = flags & 0xF
    if flags & TC or code not in (NOERROR, NXDOMAIN):
        return 0, []
    offsets, smallest, negative = ttl_offsets(message)
    if code == NXDOMAIN or not answers:
        return negative, offsets
    return smallest, offsets
