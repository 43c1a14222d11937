"""Where the reference data lives, for tests that compare with it."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import pytest

_DEFAULT = Path(__file__).resolve().parents[3].parent / "shared" / "reference"


def folder() -> Path:
    """The reference folder; skips the calling test when it is not there."""
    path = Path(os.environ.get("KUBEINSTALL_REFERENCE", str(_DEFAULT)))
    if not path.is_dir():
        pytest.skip(f"no reference data at {path} (set KUBEINSTALL_REFERENCE)")
    return path


@functools.cache
def _load(path: Path) -> Any:
    return json.loads(path.read_text())


def document(name: str) -> Any:
    """One JSON file of the reference folder, parsed."""
    return _load(folder() / name)


def golden() -> dict[str, Any]:
    """The recorded requests and answers, by case name."""
    cases: dict[str, Any] = document("golden-v1.36.json")
    return cases
