"""`kubeinstall apply`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kubeinstall.cli.console import out, write
from kubeinstall.cli.options import Ignore, Verbose, split

InventoryPath = Annotated[
    Path,
    typer.Option("--inventory", "-i", metavar="PATH", help="The inventory: a directory or a file."),
]


def apply(
    inventory: InventoryPath,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            "--limit",
            "-l",
            metavar="HOSTS",
            help="Only these hosts (and those they concern), comma separated.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", "-C", help="Change nothing; say what would change.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", "-D", help="Show how files would differ or did.")
    ] = False,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            metavar="FILE",
            help="Install from this file (kubeinstall bundle create); no network is needed.",
        ),
    ] = None,
    ignore_preflight_errors: Ignore = None,
    verbose: Verbose = 0,
) -> None:
    """Make the cluster of an inventory, or bring it to what the inventory says.

    Safe to run again: it completes what a run that stopped has left, and changes nothing when all is
    as it should be. The inventory is checked as a whole, and every host looked at, before any is touched.
    The runtime of a cluster that runs is not changed: `kubeinstall upgrade apply` does that.
    """
    from kubeinstall.provision.apply import ApplyOptions, run_apply
    from kubeinstall.provision.hosts_display import host_summary
    from kubeinstall.provision.inventory.load import load

    loaded = load(inventory)
    options = ApplyOptions(
        check=check,
        diff=diff,
        limit=tuple(split(limit)),
        ignore_preflight_errors=tuple(split(ignore_preflight_errors)),
        verbosity=verbose,
        bundle=bundle,
    )
    result, hosts = run_apply(loaded, options, out())
    write(host_summary(result, hosts))
    changed = (
        f"{result.changed} tasks would change hosts, nothing was changed"
        if check
        else f"changed={result.changed}"
    )
    outcome = "done" if result.ok else "stopped"
    write(f"kubeinstall apply: {outcome} in {result.seconds:.1f} s, {len(hosts)} hosts, {changed}")
    if not result.ok:
        raise typer.Exit(1)
