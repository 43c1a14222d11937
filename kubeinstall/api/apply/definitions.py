"""Access to the OpenAPI definitions of built-in types, by name and by kind."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import orjson

from kubeinstall.api.bundle import FOLDER, TYPES
from kubeinstall.errors import KubeinstallError


class NoBundle(KubeinstallError):
    """The generated type data is missing from this installation."""


_PATH: Final[Path] = FOLDER / TYPES


@lru_cache(maxsize=1)
def _bundle() -> dict[str, Any]:
    try:
        found: dict[str, Any] = orjson.loads(_PATH.read_bytes())
    except FileNotFoundError as error:
        raise NoBundle(f"{_PATH} is missing: run `make bundle`") from error
    return found


def definition(name: str) -> dict[str, Any]:
    """The definition of a type without descriptions. Raises KeyError."""
    found: dict[str, Any] = orjson.loads(_bundle()["types"][name])
    return found


def type_name(group: str, version: str, kind: str) -> str | None:
    """The OpenAPI name of a built-in kind, or None."""
    found: str | None = _bundle()["kinds"].get("/".join(filter(None, (group, version, kind))))
    return found
