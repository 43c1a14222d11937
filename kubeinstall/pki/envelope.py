"""Encryption of what `upload-certs` shares between control planes.

AES-256-GCM, a random 12-byte nonce before the ciphertext; the key is 32 bytes shown as 64 hex
digits (`--certificate-key`).
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kubeinstall.pki.errors import PkiError

_KEY_BYTES = 32
_NONCE_BYTES = 12


def new_certificate_key() -> str:
    """A random certificate key."""
    return secrets.token_hex(_KEY_BYTES)


def encrypt_with_key(plain: bytes, certificate_key: str) -> bytes:
    """nonce ‖ ciphertext."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(_key(certificate_key)).encrypt(nonce, plain, None)


def decrypt_with_key(sealed: bytes, certificate_key: str) -> bytes:
    """Undo `encrypt_with_key`; PkiError for a wrong key or damaged data."""
    if len(sealed) <= _NONCE_BYTES:
        raise PkiError("the encrypted data is too short")
    nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(_key(certificate_key)).decrypt(nonce, ciphertext, None)
    except InvalidTag as error:
        raise PkiError("cannot decrypt: the certificate key is wrong, or the data is") from error


def _key(certificate_key: str) -> bytes:
    try:
        key = bytes.fromhex(certificate_key)
    except ValueError as error:
        raise PkiError("the certificate key must be 64 hexadecimal digits") from error
    if len(key) != _KEY_BYTES:
        raise PkiError("the certificate key must be 64 hexadecimal digits")
    return key
