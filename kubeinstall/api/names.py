"""Names the API server makes up: `generateName` suffixes and uids.

Asking the kernel for a few random bytes costs more than the rest of a request: they are fetched a page at a time.
"""

from __future__ import annotations

import os
from typing import Final

# Upstream leaves out vowels and the digits that look like them, so that no word forms.
ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH: Final = 5
MAX_NAME: Final = 63
_POOL_BYTES: Final = 4096
#: Bytes from here on would make some characters likelier than others.
_FAIR: Final = 256 - 256 % len(ALPHABET)


class _Pool:
    """Random bytes, each given out once."""

    def __init__(self) -> None:
        self._bytes = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._bytes):
            self._bytes = os.urandom(_POOL_BYTES)
            self._at = 0
        taken = self._bytes[self._at : self._at + count]
        self._at += count
        return taken


_POOL: Final = _Pool()


def random_suffix(length: int = SUFFIX_LENGTH) -> str:
    """`length` random characters of upstream's alphabet."""
    found: list[str] = []
    while len(found) < length:
        found += [ALPHABET[byte % len(ALPHABET)] for byte in _POOL.take(length) if byte < _FAIR]
    return "".join(found[:length])


def generate_name(base: str) -> str:
    """`metadata.name` for `metadata.generateName`: cut to 58 characters, then five random ones."""
    return base[: MAX_NAME - SUFFIX_LENGTH] + random_suffix()


def new_uid() -> str:
    """A random UUID (version 4) as text, for `metadata.uid`."""
    raw = bytearray(_POOL.take(16))
    raw[6] = (raw[6] & 0x0F) | 0x40
    raw[8] = (raw[8] & 0x3F) | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
