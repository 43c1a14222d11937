"""The terminal: colour only where there is one, and not with NO_COLOR."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def out() -> Console:
    """Standard output. rich itself honours NO_COLOR and leaves colour out of pipes."""
    from rich.console import Console

    return Console(soft_wrap=True, highlight=False)


def write(text: str) -> None:
    """Plain text to standard output, as it is."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
