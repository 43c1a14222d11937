"""Taking hosts of an inventory off the cluster, and putting a new one in the place of one that died."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubeinstall.ansible.inventory.model import Inventory
from kubeinstall.errors import KubeinstallError
from kubeinstall.provision.apply import (
    ApplyOptions,
    answers,
    only_run,
    run_apply,
    run_site,
    ssh_environment,
)
from kubeinstall.provision.display import show_failures
from kubeinstall.provision.hosts_display import host_progress
from kubeinstall.provision.inventory.load import Loaded
from kubeinstall.provision.logfile import write_log
from kubeinstall.provision.playbook import Play, run_play
from kubeinstall.provision.results import RunResult
from kubeinstall.provision.upgrade import NOTHING, UpgradeOptions, plan_upgrade

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class RemoveOptions:
    """How to remove. `reset`: take Kubernetes off the hosts too. `drain_timeout` in seconds, 0 for none.
    `comes_back`: another host takes the place."""

    drain: bool = True
    drain_timeout: int = 300
    reset: bool = True
    comes_back: bool = False
    check: bool = False
    verbosity: int = 0


def run_remove(
    loaded: Loaded, names: tuple[str, ...], options: RemoveOptions, console: Console
) -> tuple[RunResult, list[str], list[str]]:
    """Remove hosts: the result, the hosts that took part, and those that did not answer."""
    inventory = loaded.inventory
    _known(inventory, names)
    manager = staying_control_plane(inventory, names)
    dead = [name for name in names if not answers(inventory.hosts[name])]
    hosts = [manager, *(name for name in names if name not in dead)]
    play = Play(
        playbook="remove_node",
        inventory={},
        inventory_path=loaded.path.resolve(),
        variables=_variables(names, dead, manager, options),
        limit=hosts,
        check=options.check,
        verbosity=options.verbosity,
        environment=ssh_environment(),
    )
    with only_run(loaded.path), host_progress(console, hosts, verbosity=options.verbosity) as shown:
        result = run_play(play, shown)
    log = write_log("remove_node", result, keep=not result.ok)
    if not result.ok:
        show_failures(console, result, log)
    elif not (options.check or options.comes_back):
        told, later = _tell_others(loaded, names, options, console)
        hosts += [name for name in told if name not in hosts]
        result.followed_by(later)
    return result, hosts, dead


def _tell_others(
    loaded: Loaded, names: tuple[str, ...], options: RemoveOptions, console: Console
) -> tuple[list[str], RunResult]:
    """Bring the lists of control planes and etcd members of the hosts that stay up to date: who was told, and how."""
    inventory = loaded.inventory
    if not set(names) & {*inventory.control_planes, *inventory.etcd}:
        return [], RunResult(ok=True)
    staying = [name for name in inventory.hosts if name not in names]
    alive = [name for name in staying if answers(inventory.hosts[name])]
    again = ApplyOptions(verbosity=options.verbosity)
    result = run_site(loaded, again, console, alive, {"bootstrap_leaving": list(names)})
    if not result.ok or alive != staying:
        late = ", ".join(staying if not result.ok else [n for n in staying if n not in alive])
        console.print(
            f"{', '.join(names)} left the cluster, but lists of control planes and etcd members on {late} still have "
            "it: take it out of the inventory and run kubeinstall apply when they can be reached",
            style="yellow",
            markup=False,
            highlight=False,
        )
    return alive, result


def run_replace(
    loaded: Loaded, name: str, options: RemoveOptions, console: Console
) -> tuple[RunResult, list[str]]:
    """A host whose disk was lost comes back bare, under its name: forget the old one, then make it anew."""
    if not answers(loaded.inventory.hosts.get(name) or _unknown(name)):
        raise KubeinstallError(
            f"{name} does not answer over SSH; put a bare host in its place first, under the same name"
        )
    found = plan_upgrade(loaded, UpgradeOptions(limit=(name,)), console)
    if any(plan.host == name and plan.current != NOTHING for plan in found):
        raise KubeinstallError(
            f"{name} is not bare: kubeinstall is on it. Use `kubeinstall apply --limit {name}` to mend it, or "
            f"`kubeinstall node remove {name}` and then apply to make it anew"
        )
    forget = RemoveOptions(
        drain=False, reset=False, comes_back=True, check=options.check, verbosity=options.verbosity
    )
    result, hosts, _dead = run_remove(loaded, (name,), forget, console)
    if not result.ok or options.check:
        return result, hosts
    manager = hosts[0]
    again, hosts = run_apply(
        loaded, ApplyOptions(limit=(name, manager), verbosity=options.verbosity), console
    )
    result.followed_by(again)
    return result, hosts


def staying_control_plane(inventory: Inventory, names: tuple[str, ...]) -> str:
    """The first control plane that stays and answers; KubeinstallError when there is none."""
    staying = [name for name in inventory.control_planes if name not in names]
    if not staying:
        raise KubeinstallError(
            "no control plane would be left; to take the whole cluster off, use kubeinstall reset on its hosts"
        )
    for name in staying:
        if answers(inventory.hosts[name]):
            return name
    raise KubeinstallError(f"no control plane that stays answers ({', '.join(staying)})")


def _known(inventory: Inventory, names: tuple[str, ...]) -> None:
    for name in names:
        if name not in inventory.hosts:
            _unknown(name)


def _unknown(name: str) -> Any:
    raise KubeinstallError(
        f"{name}: not in the inventory; remove it there only after `kubeinstall node remove`"
    )


def _variables(
    names: tuple[str, ...], dead: list[str], manager: str, options: RemoveOptions
) -> dict[str, Any]:
    from kubeinstall.config import load_reset

    return {
        "remove_names": list(names),
        "remove_dead": dead,
        "remove_manager": manager,
        "remove_drain": options.drain,
        "remove_drain_timeout": options.drain_timeout,
        "remove_remember": not options.comes_back,
        "remove_reset_hosts": options.reset,
        "remove_reset": load_reset(None, {}),
    }
