"""Keys of service-account tokens: reading PEM files, key ids, algorithms, JWKs.

The key id is the base64url SHA-256 of the public key's DER form, as upstream's.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kubeinstall.errors import SettingsError

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_PEM = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----\s*", re.DOTALL)
_EC_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_EC_NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """One public key that tokens may be signed with."""

    key: PublicKey
    key_id: str
    algorithm: str


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private key that signs new tokens."""

    key: PrivateKey
    key_id: str
    algorithm: str


def verifying_keys(path: Path) -> list[VerifyingKey]:
    """All keys of a PEM file, public, private or in certificates. Raises `SettingsError`."""
    found = [_public(block, path) for block in _blocks(path)]
    return [VerifyingKey(key, key_id(key), algorithm(key, path)) for key in found]


def signing_key(path: Path) -> SigningKey:
    """The private key of a PEM file. Raises `SettingsError`."""
    for block in _blocks(path):
        if b"PRIVATE KEY" in block:
            key = serialization.load_pem_private_key(block, None)
            if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
                public = key.public_key()
                return SigningKey(key, key_id(public), algorithm(public, path))
    raise SettingsError(f"{path}: no RSA or EC private key in it")


def _blocks(path: Path) -> list[bytes]:
    try:
        blocks = [match.group(0) for match in _PEM.finditer(path.read_bytes())]
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    usable = [block for block in blocks if b"EC PARAMETERS" not in block]
    if not usable:
        raise SettingsError(f"{path}: no PEM data in it")
    return usable


def _public(block: bytes, path: Path) -> PublicKey:
    try:
        if b"BEGIN CERTIFICATE" in block:
            key: Any = x509.load_pem_x509_certificate(block).public_key()
        elif b"PRIVATE KEY" in block:
            key = serialization.load_pem_private_key(block, None).public_key()
        else:
            key = serialization.load_pem_public_key(block)
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise SettingsError(f"{path}: only RSA and EC keys can verify tokens")
    return key


def key_id(key: PublicKey) -> str:
    """Base64url SHA-256 of the key's DER form."""
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64url(hashlib.sha256(der).digest())


def algorithm(key: PublicKey, source: object = "key") -> str:
    """The JWS algorithm that goes with the key."""
    if isinstance(key, rsa.RSAPublicKey):
        return "RS256"
    found = _EC_ALGORITHMS.get(key.curve.name)
    if found is None:
        raise SettingsError(f"{source}: curve {key.curve.name} cannot sign tokens")
    return found


def jwk(key: VerifyingKey) -> dict[str, str]:
    """The key as a JSON Web Key."""
    base = {"use": "sig", "kid": key.key_id, "alg": key.algorithm}
    if isinstance(key.key, rsa.RSAPublicKey):
        rsa_numbers = key.key.public_numbers()
        return {
            **base,
            "kty": "RSA",
            "n": _integer(rsa_numbers.n),
            "e": _integer(rsa_numbers.e),
        }
    numbers = key.key.public_numbers()
    size = (key.key.curve.key_size + 7) // 8
    return {
        **base,
        "kty": "EC",
        "crv": _EC_NAMES[key.key.curve.name],
        "x": _integer(numbers.x, size),
        "y": _integer(numbers.y, size),
    }


def _integer(number: int, size: int = 0) -> str:
    return base64url(number.to_bytes(size or (number.bit_length() + 7) // 8, "big"))


def base64url(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
