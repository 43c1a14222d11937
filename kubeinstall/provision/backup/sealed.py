"""A passphrase over a stream: scrypt, then AES-256-GCM in chunks of 1 MiB, bound to their order and to the end.

header  magic ‖ log2(N) ‖ salt (16) ‖ nonce prefix (7)
chunk i AES-GCM(key, nonce = prefix ‖ i (4 bytes) ‖ last (1 byte), associated data = header)
"""

from __future__ import annotations

import secrets
import struct
from typing import BinaryIO

from kubeinstall.provision.backup.manifest import BackupError

MAGIC = b"kubeinstall-backup-sealed-1\n"
_CHUNK = 1 << 20
_TAG = 16
_SALT, _PREFIX = 16, 7
_LOG_N = 15  # 32 MiB and a tenth of a second for each guess
_MOST_LOG_N = 20


class SealingWriter:
    """Takes plain bytes, writes sealed ones to `target`; `close()` makes it whole, and leaves the target open."""

    def __init__(self, target: BinaryIO, passphrase: bytes) -> None:
        salt, prefix = secrets.token_bytes(_SALT), secrets.token_bytes(_PREFIX)
        self._header = MAGIC + bytes([_LOG_N]) + salt + prefix
        self._chunks = _Chunks(passphrase, _LOG_N, salt, prefix)
        self._target = target
        self._waiting = bytearray()
        target.write(self._header)

    def write(self, data: bytes) -> int:
        """See io."""
        self._waiting += data
        while len(self._waiting) > _CHUNK:  # the last chunk must be known as such
            self._seal(bytes(self._waiting[:_CHUNK]), last=False)
            del self._waiting[:_CHUNK]
        return len(data)

    def flush(self) -> None:
        """Nothing: a chunk is sealed when it is full."""

    def close(self) -> None:
        """Write the last chunk."""
        self._seal(bytes(self._waiting), last=True)

    def _seal(self, data: bytes, *, last: bool) -> None:
        self._target.write(
            self._chunks.cipher.encrypt(self._chunks.nonce(last=last), data, self._header)
        )


class OpeningReader:
    """Gives the plain bytes of a sealed `source`; BackupError for a wrong passphrase or a damaged file."""

    def __init__(self, source: BinaryIO, passphrase: bytes) -> None:
        self._header = source.read(len(MAGIC) + 1 + _SALT + _PREFIX)
        body = self._header[len(MAGIC) :]
        if not self._header.startswith(MAGIC) or len(body) != 1 + _SALT + _PREFIX:
            raise BackupError("this is no sealed backup")
        if not 0 < body[0] <= _MOST_LOG_N:
            raise BackupError("the sealed backup's header is damaged")
        self._chunks = _Chunks(passphrase, body[0], body[1 : 1 + _SALT], body[1 + _SALT :])
        self._source = source
        self._next = source.read(_CHUNK + _TAG)
        self._plain = bytearray()
        self._ended = False

    def read(self, size: int = -1) -> bytes:
        """See io."""
        while not self._ended and (size < 0 or len(self._plain) < size):
            self._open()
        count = len(self._plain) if size < 0 else size
        data = bytes(self._plain[:count])
        del self._plain[:count]
        return data

    def _open(self) -> None:
        from cryptography.exceptions import InvalidTag

        sealed, self._next = self._next, self._source.read(_CHUNK + _TAG)
        self._ended = not self._next
        try:
            self._plain += self._chunks.cipher.decrypt(
                self._chunks.nonce(last=self._ended), sealed, self._header
            )
        except InvalidTag as error:
            raise BackupError("the passphrase is wrong, or the backup is damaged") from error


class _Chunks:
    def __init__(self, passphrase: bytes, log_n: int, salt: bytes, prefix: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

        if not passphrase:
            raise BackupError("the passphrase is empty")
        key = Scrypt(salt=salt, length=32, n=1 << log_n, r=8, p=1).derive(passphrase)
        self.cipher = AESGCM(key)
        self._prefix = prefix
        self._count = 0

    def nonce(self, *, last: bool) -> bytes:
        found = self._prefix + struct.pack(">IB", self._count, last)
        self._count += 1
        return found
