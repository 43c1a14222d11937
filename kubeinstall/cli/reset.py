"""`kubeinstall reset`."""

from __future__ import annotations

from typing import Annotated

import typer

from kubeinstall.cli.console import out, write
from kubeinstall.cli.options import ConfigFile, DryRun, Verbose


def reset(
    config: ConfigFile = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Reset without asking for confirmation.")
    ] = False,
    cert_dir: Annotated[str, typer.Option(help="Where certificates are kept.")] = "",
    cri_socket: Annotated[str, typer.Option(help="The CRI socket to connect to.")] = "",
    dry_run: DryRun = False,
    verbose: Verbose = 0,
) -> None:
    """Take Kubernetes off this host: undo what init did.

    Leaves no process, mount, interface, nftables table, cgroup or file behind, also after an init
    that stopped half-way. Debian packages stay installed.
    """
    from kubeinstall.config import load_reset
    from kubeinstall.provision.reset import run_reset

    overrides = {"certificatesDir": cert_dir, "criSocket": cri_socket}
    document = load_reset(config, {key: value for key, value in overrides.items() if value})
    dry = dry_run or bool(document.get("dryRun"))
    if not (dry or force or document.get("force")):
        write("[reset] WARNING: Changes made to this host by 'kubeinstall init' will be reverted.")
        answer = typer.prompt("[reset] Are you sure you want to proceed? [y/N]", default="N")
        if answer.strip().lower() not in ("y", "yes"):
            write("[reset] Nothing was changed.")
            raise typer.Exit(1)
    result = run_reset(document, out(), dry_run=dry, verbosity=verbose)
    if not result.ok:
        raise typer.Exit(1)
    if dry:
        write(f"kubeinstall reset: {len(result.changes)} things would be undone, nothing was.")
    elif result.changes:
        write(f"kubeinstall reset: done in {result.seconds:.1f} s; nothing is left on this host.")
        write("Your own ~/.kube/config, if you copied one, is yours to remove.")
    else:
        write("kubeinstall reset: there was nothing to undo.")
