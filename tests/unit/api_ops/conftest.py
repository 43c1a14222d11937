"""Where the reference data lies, and the golden answers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

REFERENCE = Path(
    os.environ.get(
        "KUBEINSTALL_REFERENCE", Path(__file__).resolve().parents[4] / "shared" / "reference"
    )
)


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """Requests and answers of a real upstream API server, by name."""
    path = REFERENCE / "golden-v1.36.json"
    if not path.exists():
        pytest.skip(f"no reference data: {path} (set KUBEINSTALL_REFERENCE)")
    found: dict[str, Any] = json.loads(path.read_text())
    return found
