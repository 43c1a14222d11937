"""`kubeinstall upgrade`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kubeinstall import KUBERNETES_VERSION
from kubeinstall.cli.console import out, write
from kubeinstall.cli.options import ADMIN, AdminKubeconfig, DryRun, Verbose, split
from kubeinstall.errors import KubeinstallError

if TYPE_CHECKING:
    from kubeinstall.provision.results import RunResult

app = typer.Typer(
    help="Change the cluster for a newer version: of an inventory with -i, else of this host.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Inventory = Annotated[
    Path | None,
    typer.Option("--inventory", "-i", metavar="PATH", help="The inventory: a directory or a file."),
]
Limit = Annotated[
    list[str] | None,
    typer.Option("--limit", "-l", metavar="HOSTS", help="Only these hosts, comma separated."),
]
Force = Annotated[
    bool, typer.Option("--force", "-f", help="Allow to skip minor versions, and to go back.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")]
Renewal = Annotated[
    bool,
    typer.Option(
        "--certificate-renewal/--no-certificate-renewal", help="Issue certificates afresh."
    ),
]


@app.command("plan")
def plan(
    inventory: Inventory = None,
    force: Force = False,
    kubeconfig: AdminKubeconfig = ADMIN,
    verbose: Verbose = 0,
) -> None:
    """Show what would be upgraded, from what, to what. Changes nothing."""
    rows = (
        _inventory_rows(inventory, force, verbose) if inventory else _host_rows(kubeconfig, force)
    )
    table = [("HOST", "CURRENT", "TARGET", "WHAT"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True))
        write("   ".join([*cells, row[3]]).rstrip())


def _inventory_rows(inventory: Path, force: bool, verbose: int) -> list[tuple[str, str, str, str]]:
    from kubeinstall.provision.inventory.load import load
    from kubeinstall.provision.upgrade import UpgradeOptions, plan_upgrade

    options = UpgradeOptions(force=force, verbosity=verbose)
    rows = []
    for host in plan_upgrade(load(inventory), options, out()):
        what = "upgrade" if host.needed else "nothing to do"
        what = "go on with an upgrade that stopped" if host.under_way else what
        rows.append((host.host, host.current, host.target, host.refusal or what))
    return rows


def _host_rows(kubeconfig: Path, force: bool) -> list[tuple[str, str, str, str]]:
    from kubeinstall.ansible.remote_upgrade import refusal
    from kubeinstall.provision.upgrade_here import read_state

    state = read_state(kubeconfig)
    rows = []
    for name, version in {"(cluster)": state.version, **state.nodes}.items():
        what = refusal(version, KUBERNETES_VERSION, force=force)
        if not what:
            what = "nothing to do" if version == KUBERNETES_VERSION else "upgrade"
        rows.append((name, version, KUBERNETES_VERSION, what))
    return rows


@app.command("diff")
def diff(
    inventory: Inventory = None,
    limit: Limit = None,
    force: Force = False,
    kubeconfig: AdminKubeconfig = ADMIN,
    verbose: Verbose = 0,
) -> None:
    """Show how files and settings would differ. Nothing that runs is touched.

    With -i the new runtime is brought beside the one in use, since nothing else can tell.
    """
    from kubeinstall.provision.upgrade import UpgradeOptions, run_upgrade

    if inventory is None:
        _apply_here(kubeconfig, force=force, renew=False, dry_run=True, verbose=verbose)
        return
    from kubeinstall.provision.inventory.load import load

    options = UpgradeOptions(
        limit=tuple(split(limit)), force=force, check=True, certificates=False, verbosity=verbose
    )
    result, _hosts = run_upgrade(load(inventory), options, out())
    if not result.ok:
        raise typer.Exit(1)
    write(f"kubeinstall upgrade diff: {result.changed} tasks would change hosts.")


@app.command("apply")
def apply(
    version: Annotated[
        str, typer.Argument(help="The version; only what this kubeinstall is.")
    ] = KUBERNETES_VERSION,
    inventory: Inventory = None,
    limit: Limit = None,
    force: Force = False,
    yes: Yes = False,
    certificate_renewal: Renewal = True,
    drain: Annotated[
        bool, typer.Option("--drain/--no-drain", help="With -i: empty nodes first.")
    ] = True,
    drain_timeout: Annotated[
        str, typer.Option(help="With -i: how long to try to empty a node; 0s without end.")
    ] = "5m0s",
    serial: Annotated[
        str, typer.Option(help="With -i: workers at a time, a number or a percentage.")
    ] = "1",
    kubeconfig: AdminKubeconfig = ADMIN,
    dry_run: DryRun = False,
    verbose: Verbose = 0,
) -> None:
    """Upgrade the cluster of an inventory, a node at a time; without one, this control plane.

    Control planes come first. Every node is emptied, gets the new runtime, must be Ready with it, and
    takes pods again. At the first failure it stops, with that node cordoned; run it again to go on, or
    `kubeinstall upgrade rollback` to go back.
    """
    from kubeinstall.cli.node import seconds_of

    if version.removeprefix("v") != KUBERNETES_VERSION.removeprefix("v"):
        raise KubeinstallError(
            f"this kubeinstall is Kubernetes {KUBERNETES_VERSION}, not {version}; install the release for it first"
        )
    if inventory is None:
        if not (dry_run or yes or force):
            _confirm(f"[upgrade] Upgrade this control plane to {KUBERNETES_VERSION}?")
        _apply_here(
            kubeconfig, force=force, renew=certificate_renewal, dry_run=dry_run, verbose=verbose
        )
        return
    from kubeinstall.provision.inventory.load import load
    from kubeinstall.provision.upgrade import UpgradeOptions, run_upgrade

    loaded = load(inventory)
    if not (dry_run or yes or force):
        _confirm(f"[upgrade] Upgrade {len(loaded.inventory.hosts)} hosts to {KUBERNETES_VERSION}?")
    options = UpgradeOptions(
        limit=tuple(split(limit)),
        force=force,
        certificates=certificate_renewal,
        drain=drain,
        drain_timeout=int(seconds_of(drain_timeout, "--drain-timeout")),
        serial=serial,
        check=dry_run,
        verbosity=verbose,
    )
    _end(*run_upgrade(loaded, options, out()), word="upgrade", dry_run=dry_run)


@app.command("node")
def node(dry_run: DryRun = False) -> None:
    """Upgrade this host, when the control plane is upgraded: its processes run what is installed now.

    Empty the node before (`kubeinstall node drain`), and uncordon it after. Certificates are left as they
    are; on a control plane `kubeinstall certs renew all` issues them afresh.
    """
    from kubeinstall.provision import upgrade_here as here

    outcome = here.restart_here(check=dry_run)
    for change in outcome.changes:
        write(f"[upgrade] {change}{' (dry run)' if dry_run else ''}")
    if dry_run:
        return
    seconds = here.wait_here()
    write(f"[upgrade] The node is Ready with {KUBERNETES_VERSION} after {seconds:.1f} s.")


@app.command("rollback")
def rollback(
    inventory: Annotated[
        Path, typer.Option("--inventory", "-i", metavar="PATH", help="The inventory.")
    ],
    limit: Annotated[
        list[str],
        typer.Option("--limit", "-l", metavar="HOSTS", help="The hosts, comma separated."),
    ],
    yes: Yes = False,
    verbose: Verbose = 0,
) -> None:
    """Go back to the runtime before, on the hosts named, one at a time.

    Its files are still there. Settings and certificates stay as they are; the node stays cordoned if
    the upgrade stopped there, so look at it and uncordon it.
    """
    from kubeinstall.provision.inventory.load import load
    from kubeinstall.provision.upgrade import UpgradeOptions, run_back

    if not yes:
        _confirm(f"[upgrade] Go back to the runtime before on {', '.join(limit)}?")
    options = UpgradeOptions(limit=tuple(split(limit)), verbosity=verbose)
    _end(*run_back(load(inventory), options, out()), word="rollback", dry_run=False)


def _apply_here(kubeconfig: Path, *, force: bool, renew: bool, dry_run: bool, verbose: int) -> None:
    from kubeinstall.provision import upgrade_here as here
    from kubeinstall.provision.init import InitOptions, run_init

    state = here.read_state(kubeconfig)
    if state.several:
        raise KubeinstallError(
            "this cluster was made of an inventory; upgrade it with `kubeinstall upgrade apply -i INVENTORY`, which "
            "empties one node after the other"
        )
    here.check_version(state, KUBERNETES_VERSION, force=force)
    config = here.upgraded_config(state)
    write(f"[upgrade] The cluster has {state.version}; it gets {KUBERNETES_VERSION}.")
    if renew:
        for change in here.renew_here(config, check=dry_run).changes:
            write(f"[upgrade] {change}{' (dry run)' if dry_run else ''}")
    options = InitOptions(dry_run=dry_run, ignore_preflight_errors=("all",), verbosity=verbose)
    result = run_init(config, options, out())
    if not result.ok:
        raise typer.Exit(1)
    if dry_run:
        write(f"[upgrade] {result.changed} tasks would change this host; nothing was changed.")
        return
    here.wait_here()
    write(f"[upgrade] SUCCESS! The cluster is {KUBERNETES_VERSION} now.")


def _confirm(question: str) -> None:
    answer = typer.prompt(f"{question} [y/N]", default="N", show_default=False)
    if answer.strip().lower() not in ("y", "yes"):
        write("[upgrade] Nothing was changed.")
        raise typer.Exit(1)


def _end(result: RunResult, hosts: list[str], *, word: str, dry_run: bool) -> None:
    from kubeinstall.provision.hosts_display import host_summary

    write(host_summary(result, hosts))
    done = ("would change" if dry_run else "done") if result.ok else "stopped"
    write(f"kubeinstall {word}: {done} in {result.seconds:.1f} s, changed={result.changed}")
    if not result.ok:
        raise typer.Exit(1)
