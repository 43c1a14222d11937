"""Certificates of an inventory's hosts: when they end, renewing them, and replacing the authorities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubeinstall.provision.apply import only_run, ssh_environment, taking_part
from kubeinstall.provision.display import show_failures
from kubeinstall.provision.hosts_display import host_progress
from kubeinstall.provision.inventory.load import Loaded
from kubeinstall.provision.logfile import write_log
from kubeinstall.provision.playbook import Play, run_play
from kubeinstall.provision.results import RunResult

if TYPE_CHECKING:
    from rich.console import Console

STAGES = ("trust", "issue", "drop")


@dataclass(frozen=True)
class RotateOptions:
    """How to replace authorities. `names`: which, all if empty; `until`: the last stage of this run; `serial`: how many
    workers at a time; `timeout` in seconds, for pods to follow."""

    names: tuple[str, ...] = ()
    until: str = "drop"
    serial: str = "1"
    timeout: int = 300
    check: bool = False
    verbosity: int = 0


def told(
    loaded: Loaded, console: Console
) -> tuple[dict[str, list[dict[str, Any]]], tuple[str, ...]]:
    """Host → its certificates: `name`, `ends` (seconds since 1970), `authority`, `is_authority`, `external`; and the
    hosts that could not be asked, which has been shown."""
    result, hosts = _run(loaded, "certificates", {}, console)
    found = {
        name: result.facts[fact]
        for name in hosts
        for fact in [f"certificates of {_node(loaded, name)}"]
        if fact in result.facts
    }
    return found, tuple(name for name in hosts if name not in found)


def _node(loaded: Loaded, name: str) -> str:
    from kubeinstall.ansible.inventory.derive import configuration_of

    config = configuration_of(loaded.inventory, name)
    return str(config["init"]["nodeRegistration"]["name"])


def run_renewal(
    loaded: Loaded,
    names: Sequence[str],
    within: str,
    console: Console,
    *,
    limit: tuple[str, ...] = (),
    check: bool = False,
    verbosity: int = 0,
) -> tuple[RunResult, list[str]]:
    """Renew on every host that has certificates with keys of their authority, one after the other."""
    variables = {"renew_names": list(names), "renew_within": within}
    return _run(loaded, "renew", variables, console, limit=limit, check=check, verbosity=verbosity)


def run_rotation(
    loaded: Loaded, options: RotateOptions, console: Console
) -> tuple[RunResult, list[str]]:
    """Replace the authorities, stage by stage. All hosts must take part: one that is left out would be lost."""
    variables = {
        "rotate_names": list(options.names),
        "rotate_until": options.until,
        "rotate_serial": options.serial,
        "rotate_timeout": options.timeout,
    }
    return _run(
        loaded,
        "rotate_ca",
        variables,
        console,
        check=options.check,
        verbosity=options.verbosity,
    )


def _run(
    loaded: Loaded,
    playbook: str,
    variables: dict[str, Any],
    console: Console,
    *,
    limit: tuple[str, ...] = (),
    check: bool = False,
    verbosity: int = 0,
) -> tuple[RunResult, list[str]]:
    hosts = taking_part(loaded.inventory, limit)
    if playbook == "renew":  # workers hold nothing that could be renewed from here
        signing = {*loaded.inventory.control_planes, *loaded.inventory.etcd}
        hosts = [name for name in hosts if name in signing]
    play = Play(
        playbook=playbook,
        inventory={},
        inventory_path=loaded.path.resolve(),
        variables=variables,
        limit=hosts if limit else (),
        check=check,
        verbosity=verbosity,
        environment=ssh_environment(),
    )
    with only_run(loaded.path), host_progress(console, hosts, verbosity=verbosity) as shown:
        result = run_play(play, shown)
    log = write_log(playbook, result, keep=not result.ok)
    if not result.ok:
        show_failures(console, result, log)
    return result, hosts
