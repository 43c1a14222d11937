"""`kubeinstall reset`: the reset playbook on this host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubeinstall.provision.display import progress, show_failures
from kubeinstall.provision.logfile import write_log
from kubeinstall.provision.playbook import Play, local_inventory, run_play
from kubeinstall.provision.results import RunResult

if TYPE_CHECKING:
    from rich.console import Console


def run_reset(
    document: dict[str, Any], console: Console, *, dry_run: bool, verbosity: int = 0
) -> RunResult:
    """Run it; a log is kept only of a failure, since reset leaves nothing behind."""
    play = Play(
        playbook="reset",
        inventory=local_inventory(),
        variables={"kubeinstall_reset": document},
        check=dry_run,
        verbosity=verbosity,
    )
    with progress(console, verbosity=verbosity) as shown:
        result = run_play(play, shown)
    if not result.ok:
        show_failures(console, result, write_log("reset", result, keep=False))
    return result
