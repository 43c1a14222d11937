"""Text files with known content: written atomically, only when they differ."""

from __future__ import annotations

from pathlib import Path

from kubeinstall.ansible.outcome import Outcome
from kubeinstall.pki.files import write_atomic


def ensure_text(
    path: Path, text: str, *, check: bool, mode: int = 0o644, secret: bool = False
) -> Outcome:
    """Make the file hold exactly `text`. A secret file's content stays out of the diff."""
    outcome = Outcome()
    before = path.read_text() if path.exists() else ""
    if path.exists() and before == text:
        return outcome
    if not check:
        write_atomic(path, text.encode(), mode)
    if secret:
        outcome.add(f"write {path}")
    else:
        outcome.add_file(str(path), before, text)
    return outcome
