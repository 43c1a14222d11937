"""From values to what is stored and back: several keys, the first of which writes.

A stored value begins with the name of what encrypted it, `k8s:enc:secretbox:v1:key1:`; without a prefix it is
plain. Only a provider `identity` in the list reads plain values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kubeinstall.errors import StoreError
from kubeinstall.storage.encryption.ciphers import Cipher, DecryptionError

MARK = b"k8s:enc:"


class Plain(NamedTuple):
    """A value as it was; `stale` when another key, or none, should hold it now."""

    value: bytes
    stale: bool


@dataclass(frozen=True, slots=True)
class Key:
    """One way to write values. `cipher` None is the provider identity, whose prefix is empty."""

    prefix: bytes
    cipher: Cipher | None = None


class Transformer:
    """All keys of one entry of the configuration, in its order."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = tuple(keys)

    @property
    def writes_plain(self) -> bool:
        """Whether values are written as they are."""
        return self._keys[0].cipher is None

    def seal(self, value: bytes, path: str) -> bytes:
        """What to store."""
        first = self._keys[0]
        return value if first.cipher is None else first.prefix + first.cipher.encrypt(value, path)

    def open(self, stored: bytes, path: str) -> Plain:
        """The value of what is stored; StoreError when no key opens it."""
        reason = "no matching prefix found"
        for index, key in enumerate(self._keys):
            if key.cipher is None:
                if not stored.startswith(MARK):
                    return Plain(stored, stale=index > 0)
                continue
            if not stored.startswith(key.prefix):
                continue
            try:
                value = key.cipher.decrypt(stored[len(key.prefix) :], path)
            except DecryptionError as error:
                reason = str(error)
                continue
            return Plain(value, stale=index > 0)
        raise StoreError(
            f"{path}: cannot be decrypted: {reason}; the encryption configuration lacks the key that wrote it"
        )
