"""What a module did, or in check mode would do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Outcome:
    """`changes` are sentences for the log; `facts` are returned to the play under their names."""

    changes: list[str] = field(default_factory=list)
    diffs: list[dict[str, str]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether anything was, or would be, changed."""
        return bool(self.changes)

    def add(self, change: str) -> None:
        """Note a change."""
        self.changes.append(change)

    def extend(self, other: Outcome) -> None:
        """Take over another outcome."""
        self.changes += other.changes
        self.diffs += other.diffs
        self.facts.update(other.facts)
        self.warnings += other.warnings

    def add_file(self, path: str, before: str, after: str) -> None:
        """Note a changed text file, with its diff."""
        self.changes.append(f"write {path}")
        self.diffs.append(
            {"before": before, "after": after, "before_header": path, "after_header": path}
        )


def from_changes(changes: Iterable[object]) -> Outcome:
    """An outcome of things whose `str()` tells the change."""
    return Outcome(changes=[str(change) for change in changes])
