"""Imports that leave out what a component never uses."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

#: structlog prints coloured tracebacks with these where they are installed; they cost 5 MB a process.
_COLOURS = ("rich", "better_exceptions")


def import_structlog() -> ModuleType:
    """structlog without the libraries for coloured tracebacks; they stay importable for everybody else."""
    hidden = [name for name in _COLOURS if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # how Python says "not installed"
    try:
        return importlib.import_module("structlog")
    finally:
        for name in hidden:
            del sys.modules[name]
