"""Upgrading the hosts of an inventory: what would happen, doing it, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubeinstall.errors import KubeinstallError
from kubeinstall.provision.apply import only_run, ssh_environment, taking_part
from kubeinstall.provision.display import show_diffs, show_failures
from kubeinstall.provision.hosts_display import host_progress
from kubeinstall.provision.inventory.load import Loaded
from kubeinstall.provision.logfile import write_log
from kubeinstall.provision.playbook import Play, run_play
from kubeinstall.provision.results import RunResult

if TYPE_CHECKING:
    from rich.console import Console

_FOUND = "upgrade of "
#: What a host has that has no kubeinstall.
NOTHING = "none"


@dataclass(frozen=True)
class UpgradeOptions:
    """How to upgrade. `serial`: how many workers at a time; `drain_timeout` in seconds, 0 for none."""

    limit: tuple[str, ...] = ()
    force: bool = False
    certificates: bool = True
    drain: bool = True
    drain_timeout: int = 300
    serial: str = "1"
    check: bool = False
    verbosity: int = 0

    @property
    def variables(self) -> dict[str, Any]:
        """As the playbook takes them."""
        return {
            "upgrade_force": self.force,
            "upgrade_certificates": self.certificates,
            "upgrade_drain": self.drain,
            "upgrade_drain_timeout": self.drain_timeout,
            "upgrade_serial": self.serial,
        }


@dataclass(frozen=True)
class HostPlan:
    """What an upgrade would do with one host. `refusal` is empty when it may."""

    host: str
    current: str
    target: str
    needed: bool
    under_way: bool
    refusal: str


def run_upgrade(
    loaded: Loaded, options: UpgradeOptions, console: Console
) -> tuple[RunResult, list[str]]:
    """Upgrade; with `check`, show how files would differ. The result, and the hosts that took part."""
    result, hosts = _run(loaded, "upgrade", options, console)
    if result.ok and options.check:
        show_diffs(console, result)
    return result, hosts


def run_back(
    loaded: Loaded, options: UpgradeOptions, console: Console
) -> tuple[RunResult, list[str]]:
    """Go back to the runtime before on the hosts of `limit`, and on no other."""
    unknown = [name for name in options.limit if name not in loaded.inventory.hosts]
    if unknown:
        raise KubeinstallError(f"--limit: {', '.join(unknown)}: not in the inventory")
    hosts = [name for name in loaded.inventory.hosts if name in options.limit]
    return _run(loaded, "upgrade_rollback", options, console, hosts)


def plan_upgrade(loaded: Loaded, options: UpgradeOptions, console: Console) -> list[HostPlan]:
    """Ask every host for its version. KubeinstallError when one does not answer."""
    result, hosts = _run(loaded, "upgrade_plan", options, console)
    if not result.ok:
        raise KubeinstallError("not every host could be asked; nothing was changed")
    return [_plan(host, result.facts[f"{_FOUND}{host}"]) for host in hosts]


def _plan(host: str, found: dict[str, Any]) -> HostPlan:
    current, target = found["current"], found["target"]
    return HostPlan(
        host,
        _build(current),
        _build(target),
        bool(found["needed"]),
        bool(found["under_way"]),
        found["refusal"],
    )


def _build(build: dict[str, str]) -> str:
    if not build["kubernetes"]:
        return NOTHING
    return f"{build['kubernetes']} ({build['version']}, {build['runtime'] or 'installed'})"


def _run(
    loaded: Loaded,
    playbook: str,
    options: UpgradeOptions,
    console: Console,
    hosts: list[str] | None = None,
) -> tuple[RunResult, list[str]]:
    chosen = hosts or taking_part(loaded.inventory, options.limit)
    play = Play(
        playbook=playbook,
        inventory={},
        inventory_path=loaded.path.resolve(),
        variables=options.variables,
        limit=chosen if options.limit else (),
        check=options.check,
        verbosity=options.verbosity,
        environment=ssh_environment(),
    )
    shown_as = host_progress(console, chosen, verbosity=options.verbosity)
    with only_run(loaded.path), shown_as as shown:
        result = run_play(play, shown)
    log = write_log(playbook, result, keep=not result.ok)
    if not result.ok:
        show_failures(console, result, log)
    return result, chosen
