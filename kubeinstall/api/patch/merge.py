"""RFC 7386 JSON merge patch."""

from __future__ import annotations

from typing import Any


def merge_patch(doc: Any, patch: Any) -> Any:
    """`doc` with `patch` merged in: null removes, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(doc) if isinstance(doc, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged
