"""Image names, as far as the pull policy depends on them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_PATH: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_LABEL: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST: Final = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_REFERENCE: Final = re.compile(
    rf"(?P<name>{_HOST}/{_PATH}(?:/{_PATH})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)
_IDENTIFIER: Final = re.compile(r"[a-f0-9]{64}")


@lru_cache(maxsize=1024)
def pull_policy(image: str) -> str:
    """ "Always" for the tag latest, written or implied; "IfNotPresent" otherwise, unreadable names too."""
    if _IDENTIFIER.fullmatch(image):
        return "IfNotPresent"
    match = _REFERENCE.fullmatch(_with_domain(image))
    if match is None:
        return "IfNotPresent"
    tag = match["tag"] or ("" if match["digest"] else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"


def _with_domain(image: str) -> str:
    first, slash, _ = image.partition("/")
    plain = not any(mark in first for mark in ".:") and first != "localhost"
    if not slash or (plain and first == first.lower()):
        return f"docker.io/{image}"
    return image
