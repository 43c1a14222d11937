"""Which hosts were taken off the cluster: the one thing of an inventory that no host can be seen to be.

Control planes remember it, so that a run over an inventory that still names such a host says so, whoever runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.remote_runtime import REMOVED
from kubeinstall.pki.files import write_atomic

Object = dict[str, Any]

FILE = Path(REMOVED)


def remember(
    config: Object, leaving: Sequence[str], here: Sequence[str], *, check: bool, path: Path = FILE
) -> Outcome:
    """On a control plane: add the hosts that leave, and drop those that take part in the run."""
    outcome = Outcome()
    if "control-plane" not in config["host"]["roles"]:
        return outcome
    before = path.read_text().split() if path.exists() else []
    after = sorted({*before, *leaving} - set(here))
    if after == sorted(before):
        return outcome
    for name in sorted(set(after) - set(before)):
        outcome.add(f"remember that {name} was taken off the cluster")
    for name in sorted(set(before) - set(after)):
        outcome.add(f"forget that {name} was taken off the cluster")
    if not check:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, "".join(f"{name}\n" for name in after).encode(), 0o644)
    return outcome
