"""Backup and restore of the cluster of an inventory, from the machine that has it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubeinstall.provision.apply import only_run, reachable_control_plane, ssh_environment
from kubeinstall.provision.backup.opening import open_backup
from kubeinstall.provision.display import show_failures
from kubeinstall.provision.hosts_display import host_progress
from kubeinstall.provision.inventory.load import Loaded
from kubeinstall.provision.logfile import write_log
from kubeinstall.provision.playbook import Play, run_play
from kubeinstall.provision.results import RunResult

if TYPE_CHECKING:
    from rich.console import Console

Object = dict[str, Any]


@dataclass(frozen=True)
class RestoreOptions:
    """How to restore. `force`: replace the cluster that is there; `other_hosts`: not those of the backup."""

    passphrase: bytes = b""
    force: bool = False
    other_hosts: bool = False
    check: bool = False
    verbosity: int = 0


def run_backup(
    loaded: Loaded, file: Path, passphrase: bytes, console: Console, *, verbosity: int = 0
) -> tuple[RunResult, Object]:
    """Make a backup on a control plane that answers, and bring it to `file`; the result, and what is in it."""
    host = reachable_control_plane(loaded.inventory)
    variables = {
        "backup_host": host,
        "backup_file": str(file.absolute()),
        "backup_passphrase": passphrase.decode(),
    }
    result = _run(loaded, "backup", variables, [host], console, verbosity=verbosity)
    return result, result.facts.get("backup") or {}


def run_restore(
    loaded: Loaded, file: Path, options: RestoreOptions, console: Console
) -> tuple[RunResult, Object]:
    """Put the backup in place on all hosts and start them; the result, and what the backup says of itself.

    The file is verified and compared with the inventory first; then every host is asked, and only then one is changed.
    """
    with tempfile.TemporaryDirectory(prefix="kubeinstall-open-") as folder:
        # The play does it again for itself; here what is wrong is told without one.
        open_backup(
            file,
            options.passphrase,
            loaded.configs,
            Path(folder),
            other_hosts=options.other_hosts,
        )
    variables = {
        "restore_file": str(file.absolute()),
        "restore_passphrase": options.passphrase.decode(),
        "restore_force": options.force,
        "restore_other_hosts": options.other_hosts,
    }
    hosts = list(loaded.inventory.hosts)
    result = _run(
        loaded,
        "restore",
        variables,
        hosts,
        console,
        check=options.check,
        verbosity=options.verbosity,
    )
    return result, result.facts.get("backup") or {}


def _run(
    loaded: Loaded,
    playbook: str,
    variables: Object,
    hosts: list[str],
    console: Console,
    *,
    check: bool = False,
    verbosity: int,
) -> RunResult:
    play = Play(
        playbook=playbook,
        inventory={},
        inventory_path=loaded.path.resolve(),
        variables=variables,
        limit=hosts,
        check=check,
        verbosity=verbosity,
        environment=ssh_environment(),
    )
    shown_as = host_progress(console, hosts, verbosity=verbosity, changes=check)
    with only_run(loaded.path), shown_as as shown:
        result = run_play(play, shown)
    log = write_log(playbook, result, keep=not result.ok)
    if not result.ok:
        show_failures(console, result, log)
    return result
