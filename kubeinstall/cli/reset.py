"""`kubeinstall reset` and `kubeinstall reset phase`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kubeinstall.cli.console import out, write
from kubeinstall.cli.options import ADMIN, ConfigFile, DryRun, Ignore, SkipPhases, Verbose, split
from kubeinstall.errors import KubeinstallError

_PREFLIGHT_FAILED = 2


def reset(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[phase [NAME]]", help="phase NAME runs one phase alone; phase lists them."
        ),
    ] = None,
    inventory: Annotated[
        Path | None,
        typer.Option(
            "--inventory", "-i", metavar="PATH", help="Every host of this inventory, not this one."
        ),
    ] = None,
    config: ConfigFile = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Reset without asking for confirmation.")
    ] = False,
    cert_dir: Annotated[str, typer.Option(help="Where certificates are kept.")] = "",
    cleanup_tmp_dir: Annotated[
        bool,
        typer.Option("--cleanup-tmp-dir", help="Also /etc/kubernetes/tmp; here it always goes."),
    ] = False,
    cri_socket: Annotated[str, typer.Option(help="The CRI socket to connect to.")] = "",
    kubeconfig: Annotated[
        Path,
        typer.Option("--kubeconfig", metavar="FILE", help="With which the cluster is told."),
    ] = ADMIN,
    dry_run: DryRun = False,
    ignore_preflight_errors: Ignore = None,
    skip_phases: SkipPhases = None,
    verbose: Verbose = 0,
) -> None:
    """Take Kubernetes off this host: undo what init or join did. With -i, off every host of an inventory.

    A control plane's etcd member leaves the cluster first. Leaves no process, mount, interface, nftables table, cgroup
    or file behind, also after a run that stopped half-way. Debian packages stay installed. The Node object stays in the
    cluster: kubectl delete node NAME, on a control plane.
    """
    from kubeinstall.config import load_reset
    from kubeinstall.provision import reset as work

    phase = _phase(words or [])
    if phase == "":
        for name, text in work.PHASES.items():
            write(f"  {name:20} {text}")
        return
    overrides = {
        "certificatesDir": cert_dir,
        "criSocket": cri_socket,
        "cleanupTmpDir": cleanup_tmp_dir,
        "ignorePreflightErrors": split(ignore_preflight_errors),
        "skipPhases": work.all_but(phase) if phase else split(skip_phases),
    }
    document = load_reset(config, {key: value for key, value in overrides.items() if value})
    if inventory is not None:
        _reset_hosts(inventory, document, force=force, dry=dry_run, verbose=verbose)
        return
    try:
        work.check_reset(document)
    except work.PreflightFailed as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(_PREFLIGHT_FAILED) from error
    dry = dry_run or bool(document.get("dryRun"))
    if not (dry or force or document.get("force")):
        _confirm()
    document["kubeconfig"] = str(kubeconfig)
    _run(document, dry=dry, verbose=verbose)


def _phase(words: list[str]) -> str | None:
    """None without the word, empty when none is named."""
    if not words:
        return None
    if words[0] != "phase" or len(words) > 2:
        raise typer.BadParameter(f"unknown: {' '.join(words)}; there is only: phase [NAME]")
    return words[1] if len(words) == 2 else ""


def _confirm() -> None:
    write(
        "[reset] WARNING: Changes made to this host by 'kubeinstall init' or 'kubeinstall join' will be reverted."
    )
    _ask()


def _ask() -> None:
    answer = typer.prompt("[reset] Are you sure you want to proceed? [y/N]", default="N")
    if answer.strip().lower() not in ("y", "yes"):
        write("[reset] Nothing was changed.")
        raise typer.Exit(1)


def _reset_hosts(
    inventory: Path, document: dict[str, Any], *, force: bool, dry: bool, verbose: int
) -> None:
    from kubeinstall.provision.hosts_display import host_summary
    from kubeinstall.provision.inventory.load import Loaded, read
    from kubeinstall.provision.reset import run_reset_hosts

    # An inventory that has become wrong must not keep its hosts from being reset.
    found = read(inventory)
    if not found.hosts:
        raise KubeinstallError(f"{inventory}: has no hosts")
    dry = dry or bool(document.get("dryRun"))
    if not (dry or force or document.get("force")):
        write(
            f"[reset] WARNING: The whole cluster of {inventory} will be destroyed, with all that is stored in it:"
        )
        write(f"[reset] {', '.join(found.hosts)}")
        _ask()
    result, hosts = run_reset_hosts(
        Loaded(inventory, found, {}), document, out(), dry_run=dry, verbosity=verbose
    )
    write(host_summary(result, hosts))
    if not result.ok:
        write(f"kubeinstall reset: stopped in {result.seconds:.1f} s")
        raise typer.Exit(1)
    if dry:
        write(f"kubeinstall reset: {len(result.changes)} things would be undone, nothing was.")
    else:
        write(
            f"kubeinstall reset: done in {result.seconds:.1f} s; nothing is left on {len(hosts)} hosts."
        )


def _run(document: dict[str, Any], *, dry: bool, verbose: int) -> None:
    from kubeinstall.provision.reset import run_reset

    result = run_reset(document, out(), dry_run=dry, verbosity=verbose)
    if not result.ok:
        raise typer.Exit(1)
    if dry:
        write(f"kubeinstall reset: {len(result.changes)} things would be undone, nothing was.")
    elif result.changes and not document.get("skipPhases"):
        write(f"kubeinstall reset: done in {result.seconds:.1f} s; nothing is left on this host.")
        write("Your own ~/.kube/config, if you copied one, is yours to remove.")
    elif result.changes:
        write(f"kubeinstall reset: done in {result.seconds:.1f} s.")
    else:
        write("kubeinstall reset: there was nothing to undo.")
