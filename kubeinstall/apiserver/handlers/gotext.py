"""Values as Go's `%+v` prints them, which some of upstream's messages show."""

from __future__ import annotations

from typing import Any


def go_text(value: Any) -> str:
    """`map[a:1 b:[x y] c:<nil>]`: maps by their keys in order, strings without quotes."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_text(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_text, value)) + "]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
