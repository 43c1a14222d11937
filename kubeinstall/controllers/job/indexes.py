"""Sets of completion indexes, written as `0,2-4,7`."""

from __future__ import annotations

from collections.abc import Iterable


def parse(text: str | None, completions: int) -> set[int]:
    """The indexes that a text names; those from `completions` on are dropped, broken parts skipped."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            continue
        end = int(last) if last else int(first)
        found.update(range(int(first), min(end, completions - 1) + 1))
    return found


def text(indexes: Iterable[int]) -> str:
    """The shortest text; runs of three and more (and of two) become ranges as upstream writes them."""
    ordered = sorted(set(indexes))
    parts: list[str] = []
    position = 0
    while position < len(ordered):
        end = position
        while end + 1 < len(ordered) and ordered[end + 1] == ordered[end] + 1:
            end += 1
        if end - position >= 2:
            parts.append(f"{ordered[position]}-{ordered[end]}")
        else:
            parts += [str(index) for index in ordered[position : end + 1]]
        position = end + 1
    return ",".join(parts)
