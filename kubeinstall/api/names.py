"""Names the API server makes up: `generateName` suffixes and uids."""

from __future__ import annotations

import os
import uuid
from typing import Final

# Upstream leaves out vowels and the digits that look like them, so that no word forms.
ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH: Final = 5
MAX_NAME: Final = 63


def random_suffix(length: int = SUFFIX_LENGTH) -> str:
    """`length` random characters of upstream's alphabet."""
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in os.urandom(length))


def generate_name(base: str) -> str:
    """`metadata.name` for `metadata.generateName`: cut to 58 characters, then five random ones."""
    return base[: MAX_NAME - SUFFIX_LENGTH] + random_suffix()


def new_uid() -> str:
    """A random `metadata.uid`."""
    return str(uuid.uuid4())
