"""Short hashes of templates, written as upstream writes them."""

from __future__ import annotations

from typing import Any

import orjson

#: No vowels and no easily mistaken digits: hashes end up in names and must not form words.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def fnv32a(data: bytes) -> int:
    """The 32-bit FNV-1a hash."""
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def safe_encode(text: str) -> str:
    """Each character mapped into the safe alphabet."""
    return "".join(_ALPHABET[ord(char) % len(_ALPHABET)] for char in text)


def compute(template: Any, collisions: int | None = None) -> str:
    """The hash of a pod template; `collisions` makes another one when a name is taken."""
    data = orjson.dumps(template, option=orjson.OPT_SORT_KEYS)
    if collisions is not None:
        data += collisions.to_bytes(8, "little")
    return safe_encode(str(fnv32a(data)))
