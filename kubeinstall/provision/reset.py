"""`kubeinstall reset`: the reset playbook on this host, or on all of an inventory."""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from kubeinstall.ansible.preflight import Host, check_user, failure_text, verdict
from kubeinstall.errors import KubeinstallError
from kubeinstall.provision.apply import only_run, ssh_environment
from kubeinstall.provision.display import progress, show_failures
from kubeinstall.provision.hosts_display import host_progress
from kubeinstall.provision.inventory.load import Loaded
from kubeinstall.provision.logfile import write_log
from kubeinstall.provision.playbook import Play, local_inventory, run_play
from kubeinstall.provision.results import RunResult, TaskResult

if TYPE_CHECKING:
    from rich.console import Console


#: kubeadm's.
PHASES = {
    "preflight": "Run reset pre-flight checks",
    "remove-etcd-member": "Take a control plane's etcd member out of the cluster",
    "cleanup-node": "Undo everything on this host",
}


class PreflightFailed(KubeinstallError):
    """Nothing was changed."""


def all_but(phase: str) -> list[str]:
    """What to skip so that one phase alone is left; KubeinstallError for an unknown one."""
    if phase not in PHASES:
        raise KubeinstallError(f'invalid phase name: "{phase}"; there are {", ".join(PHASES)}')
    return [name for name in PHASES if name != phase]


def check_reset(document: dict[str, Any]) -> None:
    """The checks before anything is asked or done; KubeinstallError for an unknown phase to skip."""
    skipped = document.get("skipPhases") or []
    for name in skipped:
        all_but(name)
    if "preflight" in skipped:
        return
    errors, _warnings = verdict(
        list(check_user(Host())), document.get("ignorePreflightErrors") or []
    )
    if errors:
        raise PreflightFailed(failure_text(errors))


def run_reset_hosts(
    loaded: Loaded, document: dict[str, Any], console: Console, *, dry_run: bool, verbosity: int = 0
) -> tuple[RunResult, list[str]]:
    """Every host of an inventory, all at once: a host that does not answer stops none of the others."""
    hosts = list(loaded.inventory.hosts)
    # Nobody stays whom a member that leaves would have to be told of.
    skipped = [*(document.get("skipPhases") or []), "remove-etcd-member"]
    play = Play(
        playbook="reset_hosts",
        inventory={},
        inventory_path=loaded.path.resolve(),
        variables={"kubeinstall_reset": {**document, "skipPhases": skipped}},
        check=dry_run,
        verbosity=verbosity,
        environment=ssh_environment(),
    )
    shown_as = host_progress(console, hosts, verbosity=verbosity, changes=dry_run, stages=())
    with only_run(loaded.path), shown_as as shown:
        result = run_play(play, shown)
    if not result.ok:
        show_failures(console, result, write_log("reset", result, keep=False))
    return result, hosts


def _reset_directly(document: dict[str, Any], console: Console, *, dry_run: bool) -> RunResult:
    from kubeinstall.ansible.teardown import ensure_gone

    started = time.monotonic()
    outcome = ensure_gone(document, check=dry_run)
    for change in outcome.changes:
        console.print(f"    {change}", markup=False, highlight=False)
    for warning in outcome.warnings:
        console.print(f"    {warning}", style="yellow", markup=False, highlight=False)
    task = TaskResult(
        host="localhost",
        role="reset",
        task="Take Kubernetes off the host",
        status="changed" if outcome.changed else "ok",
        seconds=time.monotonic() - started,
        changes=tuple(outcome.changes),
        warnings=tuple(outcome.warnings),
    )
    return RunResult(tasks=[task], ok=True, seconds=task.seconds)


def run_reset(
    document: dict[str, Any], console: Console, *, dry_run: bool, verbosity: int = 0
) -> RunResult:
    """Run it; a log is kept only of a failure, since reset leaves nothing behind.

    Hosts that an inventory made have a runtime without Ansible: there the role's one module is called as it is.
    """
    if find_spec("ansible_runner") is None:
        return _reset_directly(document, console, dry_run=dry_run)
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
