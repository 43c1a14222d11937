"""The ciphers of EncryptionConfiguration, in upstream's layouts.

| provider | key bytes | stored after the prefix | bound to its key path |
|---|---|---|---|
| secretbox (XSalsa20-Poly1305) | 32 | nonce (24), sealed | no: the format has no place for it |
| aesgcm | 16, 24, 32 | nonce (12), sealed | yes |
| aescbc (PKCS#7) | 16, 24, 32 | IV (16), encrypted | no, and not authenticated either |

secretbox is the default: unlike AES-GCM's, its random nonces never run out in practice.
"""

from __future__ import annotations

import secrets
from typing import Protocol

_GCM_NONCE = 12
_SECRETBOX_NONCE = 24
_SECRETBOX_TAG = 16
_CBC_BLOCK = 16


class DecryptionError(Exception):
    """The data was not encrypted with this key, or has been changed."""


class Cipher(Protocol):
    """One key. `path` is the key under which the value is stored."""

    def encrypt(self, plain: bytes, path: str) -> bytes:
        """What is stored."""

    def decrypt(self, sealed: bytes, path: str) -> bytes:
        """The value again; DecryptionError when key, path or data do not fit."""


class AESGCM:
    """Authenticated; a key must be replaced before it has sealed some 2³² values."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers import aead

        self._sealer = aead.AESGCM(key)

    def encrypt(self, plain: bytes, path: str) -> bytes:
        """See `Cipher`."""
        nonce = secrets.token_bytes(_GCM_NONCE)
        return nonce + self._sealer.encrypt(nonce, plain, path.encode())

    def decrypt(self, sealed: bytes, path: str) -> bytes:
        """See `Cipher`."""
        from cryptography.exceptions import InvalidTag

        if len(sealed) < _GCM_NONCE:
            raise DecryptionError("the stored data is too short")
        try:
            return self._sealer.decrypt(sealed[:_GCM_NONCE], sealed[_GCM_NONCE:], path.encode())
        except InvalidTag as error:
            raise DecryptionError("the stored data does not authenticate") from error


class AESCBC:
    """Kept for datastores that have it; new ones should use secretbox."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.algorithms import AES

        self._algorithm = AES(key)

    def encrypt(self, plain: bytes, path: str) -> bytes:
        """See `Cipher`."""
        from cryptography.hazmat.primitives.ciphers import Cipher as Blocks
        from cryptography.hazmat.primitives.ciphers.modes import CBC

        start = secrets.token_bytes(_CBC_BLOCK)
        padding = _CBC_BLOCK - len(plain) % _CBC_BLOCK
        work = Blocks(self._algorithm, CBC(start)).encryptor()
        return start + work.update(plain + bytes([padding]) * padding) + work.finalize()

    def decrypt(self, sealed: bytes, path: str) -> bytes:
        """See `Cipher`."""
        from cryptography.hazmat.primitives.ciphers import Cipher as Blocks
        from cryptography.hazmat.primitives.ciphers.modes import CBC

        if len(sealed) < 2 * _CBC_BLOCK or len(sealed) % _CBC_BLOCK:
            raise DecryptionError("the stored data is not a whole number of blocks")
        work = Blocks(self._algorithm, CBC(sealed[:_CBC_BLOCK])).decryptor()
        padded = work.update(sealed[_CBC_BLOCK:]) + work.finalize()
        count = padded[-1]
        if not 0 < count <= _CBC_BLOCK or padded[-count:] != bytes([count]) * count:
            raise DecryptionError("the stored data has invalid padding")
        return padded[:-count]


class SecretBox:
    """NaCl's secretbox: authenticated, with nonces long enough to be random for ever."""

    def __init__(self, key: bytes) -> None:
        from nacl.secret import SecretBox as Sealer

        self._sealer = Sealer(key)

    def encrypt(self, plain: bytes, path: str) -> bytes:
        """See `Cipher`."""
        return bytes(self._sealer.encrypt(plain, secrets.token_bytes(_SECRETBOX_NONCE)))

    def decrypt(self, sealed: bytes, path: str) -> bytes:
        """See `Cipher`."""
        from nacl.exceptions import CryptoError

        if len(sealed) < _SECRETBOX_NONCE + _SECRETBOX_TAG:
            raise DecryptionError("the stored data is too short")
        try:
            return self._sealer.decrypt(sealed)
        except CryptoError as error:
            raise DecryptionError("the stored data does not authenticate") from error


#: Provider → its cipher and the key sizes that it takes, in bytes.
PROVIDERS: dict[str, tuple[type[AESGCM] | type[AESCBC] | type[SecretBox], tuple[int, ...]]] = {
    "secretbox": (SecretBox, (32,)),
    "aesgcm": (AESGCM, (16, 24, 32)),
    "aescbc": (AESCBC, (16, 24, 32)),
}
