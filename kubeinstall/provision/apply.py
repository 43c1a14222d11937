"""`kubeinstall apply`: the whole inventory, or the hosts of --limit with one control plane beside them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubeinstall.ansible.inventory.model import Host, Inventory
from kubeinstall.errors import KubeinstallError
from kubeinstall.provision.bundle import open_bundle
from kubeinstall.provision.display import show_diffs, show_failures
from kubeinstall.provision.hosts_display import STAGES, host_progress
from kubeinstall.provision.inventory.load import Loaded
from kubeinstall.provision.logfile import write_log
from kubeinstall.provision.playbook import Play, run_play
from kubeinstall.provision.results import RunResult

if TYPE_CHECKING:
    from rich.console import Console

_CONNECT_SECONDS = 3.0


@dataclass(frozen=True)
class ApplyOptions:
    """How to run. `bundle`: where packages and images come from, instead of Debian's mirror."""

    check: bool = False
    diff: bool = False
    limit: tuple[str, ...] = ()
    ignore_preflight_errors: tuple[str, ...] = ()
    verbosity: int = 0
    bundle: Path | None = None
    playbook: str = "site"


def run_apply(
    loaded: Loaded, options: ApplyOptions, console: Console
) -> tuple[RunResult, list[str]]:
    """Run the play; the result, and the hosts that took part."""
    if options.bundle is not None:
        open_bundle(options.bundle)  # a damaged one is told before anything else
    hosts, notes = with_those_concerned(loaded.inventory, options.limit)
    for note in notes:
        console.print(note, style="yellow", markup=False, highlight=False)
    variables = {
        "machine_ignore": list(options.ignore_preflight_errors),
        "bootstrap_again": list(options.limit),
        "bootstrap_bundle": str(options.bundle.resolve()) if options.bundle else "",
    }
    return run_site(loaded, options, console, hosts, variables), hosts


def run_site(
    loaded: Loaded,
    options: ApplyOptions,
    console: Console,
    hosts: Sequence[str],
    variables: dict[str, Any],
) -> RunResult:
    """The playbook over these hosts, with these variables of its roles."""
    play = Play(
        playbook=options.playbook,
        inventory={},
        inventory_path=loaded.path.resolve(),
        variables=variables,
        limit=() if list(hosts) == list(loaded.inventory.hosts) else hosts,
        check=options.check,
        diff=options.diff,
        verbosity=options.verbosity,
        environment=ssh_environment(),
    )
    with (
        only_run(loaded.path),
        host_progress(
            console,
            hosts,
            verbosity=options.verbosity,
            changes=options.check or options.diff,
            stages=STAGES,
        ) as shown,
    ):
        result = run_play(play, shown)
    log = write_log("apply", result, keep=not (options.check and result.ok))
    if not result.ok:
        show_failures(console, result, log)
    elif options.diff:
        show_diffs(console, result)
    return result


def ssh_environment() -> dict[str, str]:
    """Connections are kept for the next run too; their sockets are ours alone."""
    sockets = cache_directory() / "ssh"
    sockets.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets),
        "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=120s -o ServerAliveInterval=5 "
        "-o ServerAliveCountMax=3",
        "ANSIBLE_TIMEOUT": "10",
        "ANSIBLE_SSH_RETRIES": "2",
        "ANSIBLE_FORKS": "30",
    }


def cache_directory() -> Path:
    """Ours on this machine."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kubeinstall"


@contextlib.contextmanager
def only_run(inventory: Path) -> Iterator[None]:
    """Hold the inventory's lock on this machine; KubeinstallError when another run has it."""
    folder = cache_directory() / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = hashlib.sha256(str(inventory.resolve()).encode()).hexdigest()[:16]
    with (folder / name).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            holder = lock.read().strip() or "?"
            raise KubeinstallError(
                f"{inventory}: another run is at work on it (process {holder})"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def taking_part(inventory: Inventory, limit: Sequence[str]) -> list[str]:
    """The hosts of a run: all, or those of `limit` and, if there is none among them, one control plane."""
    if not limit:
        return list(inventory.hosts)
    unknown = [name for name in limit if name not in inventory.hosts]
    if unknown:
        raise KubeinstallError(f"--limit: {', '.join(unknown)}: not in the inventory")
    chosen = [name for name in inventory.hosts if name in limit]
    if not set(chosen) & set(inventory.control_planes):
        chosen.insert(0, reachable_control_plane(inventory))
    return chosen


def with_those_concerned(inventory: Inventory, limit: Sequence[str]) -> tuple[list[str], list[str]]:
    """As `taking_part`, and what to say of it. A control plane or an etcd member concerns every host, since each has a
    list of them (its load balancer's, its API server's): then all that answer take part, and the others are named."""
    chosen = taking_part(inventory, limit)
    listed = [name for name in limit if name in (*inventory.control_planes, *inventory.etcd)]
    others = [name for name in inventory.hosts if name not in chosen]
    if not listed or not others:
        return chosen, []
    with ThreadPoolExecutor(max_workers=30) as pool:
        answering = pool.map(answers, [inventory.hosts[name] for name in others])
        alive = [name for name, does in zip(others, answering, strict=True) if does]
    notes = []
    if alive:
        notes.append(
            f"--limit {','.join(listed)}: every host has a list of control planes and etcd members, so "
            f"{', '.join(alive)} take part too"
        )
    if dead := [name for name in others if name not in alive]:
        notes.append(
            f"no answer from {', '.join(dead)}: left out, with old lists until the next apply"
        )
    return [name for name in inventory.hosts if name in chosen or name in alive], notes


def reachable_control_plane(inventory: Inventory) -> str:
    """The first whose SSH port takes connections: the very first may be what has died."""
    for name in inventory.control_planes:
        if answers(inventory.hosts[name]):
            return name
    raise KubeinstallError(f"no control plane answers ({', '.join(inventory.control_planes)})")


def answers(host: Host) -> bool:
    """Whether SSH's port takes connections; a host that is reached otherwise is taken to answer."""
    if str(host.variables.get("ansible_connection", "ssh")) not in ("ssh", "smart"):
        return True
    where = str(host.variables.get("ansible_host") or host.name)
    port = int(host.variables.get("ansible_port") or 22)
    try:
        with socket.create_connection((where, port), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False
