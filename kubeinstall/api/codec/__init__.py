"""Bodies of requests to objects, and objects to the bytes that the store holds.

`decode` does what upstream's serializers do with a body: it finds the kind, checks types, drops what
the Go types would drop and leaves the value that they would encode (quantities canonical, times in
UTC, empty values gone or present as `gofacts` says). `normalize` brings an object that code has
changed back to that form. Objects stay in the version they came in: converting is `api.conversion`.
"""

from __future__ import annotations

from kubeinstall.api.codec.applied import decode_applied
from kubeinstall.api.codec.decode import (
    Decoded,
    FieldValidation,
    decode,
    decode_kind,
    decode_patched,
    duplicates_of,
    without_duplicates,
)
from kubeinstall.api.codec.encode import encode_body, normalize, normalize_part
from kubeinstall.api.codec.envelope import Kind

__all__ = [
    "Decoded",
    "FieldValidation",
    "Kind",
    "decode",
    "decode_applied",
    "decode_kind",
    "decode_patched",
    "duplicates_of",
    "encode_body",
    "normalize",
    "normalize_part",
    "without_duplicates",
]
