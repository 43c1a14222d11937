"""`kubeinstall certs`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kubeinstall.cli.console import out, write
from kubeinstall.cli.expiration import Form, write_inventory, write_report
from kubeinstall.cli.options import PKI, CertDir, ConfigFile, DryRun, Verbose, split
from kubeinstall.errors import KubeinstallError

if TYPE_CHECKING:
    from kubeinstall.pki import ClusterIdentity
    from kubeinstall.provision.results import RunResult

app = typer.Typer(
    help="Look after the cluster's certificates.", no_args_is_help=True, rich_markup_mode=None
)
KUBERNETES = Path("/etc/kubernetes")
Inventory = Annotated[
    Path | None,
    typer.Option("--inventory", "-i", metavar="PATH", help="The inventory; else of this host."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")]


@app.command("check-expiration")
def check_expiration(
    inventory: Inventory = None,
    cert_dir: CertDir = PKI,
    config: ConfigFile = None,
    output: Annotated[Form, typer.Option("--output", "-o", help="The form.")] = Form.TEXT,
) -> None:
    """Show when each certificate ends: of this host, or of every host of an inventory."""
    if inventory is not None:
        from kubeinstall.provision.certificates import told
        from kubeinstall.provision.inventory.load import load

        found, silent = told(load(inventory), out())
        write_inventory(found, output)
        if silent:
            raise KubeinstallError(f"these hosts could not be asked: {', '.join(silent)}")
        return
    from kubeinstall.pki.expiry import expiries

    write_report(expiries(KUBERNETES, cert_dir, _identity(config)), output)


@app.command("renew")
def renew(
    names: Annotated[
        list[str], typer.Argument(help="Names as check-expiration shows them, or all.")
    ],
    inventory: Inventory = None,
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", "-l", metavar="HOSTS", help="With -i: only these hosts."),
    ] = None,
    cert_dir: CertDir = PKI,
    config: ConfigFile = None,
    within: Annotated[
        str,
        typer.Option(help="Only those that end within this time, such as 720h; else all named."),
    ] = "",
    restart: Annotated[
        bool,
        typer.Option(help="Restart the components that use them, and see that they do."),
    ] = True,
    dry_run: DryRun = False,
    verbose: Verbose = 0,
) -> None:
    """Issue certificates afresh, restart just the components that use them, and see that they do.

    With -i on every control plane and host of etcd, one after the other.
    """
    from kubeinstall.ansible import renewal
    from kubeinstall.config.durations import parse_duration
    from kubeinstall.pki.expiry import renewable

    identity = _identity(config)
    chosen = renewable(identity) if names == ["all"] else names
    known = {*renewable(identity), *(_EVERY if inventory else ())}
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise typer.BadParameter(
            f"there is no certificate {unknown[0]!r}; choose from {', '.join(sorted(known))}, all"
        )
    if within:
        try:
            parse_duration(within)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--within") from error
    if inventory is not None:
        _renew_inventory(
            inventory, [] if names == ["all"] else names, within, limit, dry_run, verbose
        )
        return
    if within:
        ending = renewal.due(KUBERNETES, cert_dir, identity, parse_duration(within))
        chosen = [name for name in chosen if name in ending]
        if not chosen:
            write(f"no certificate ends within {within}; nothing to renew")
            return
    if dry_run:
        for name in chosen:
            write(f"certificate {name} would be renewed")
        return
    renewal.renew_all(KUBERNETES, cert_dir, identity, chosen, write)
    if restart and cert_dir == PKI and (KUBERNETES / "components.yaml").exists():
        renewal.apply_renewed(chosen, write)
        return
    write("Done. Components that run with the old ones must be restarted: kubeinstall init")


#: Of an inventory's hosts, whatever this host is.
_EVERY = ("apiserver-etcd-client", "etcd-healthcheck-client", "etcd-peer", "etcd-server")


def _renew_inventory(
    inventory: Path,
    names: list[str],
    within: str,
    limit: list[str] | None,
    dry_run: bool,
    verbose: int,
) -> None:
    from kubeinstall.provision.certificates import run_renewal
    from kubeinstall.provision.inventory.load import load

    result, hosts = run_renewal(
        load(inventory),
        names,
        within,
        out(),
        limit=tuple(split(limit)),
        check=dry_run,
        verbosity=verbose,
    )
    _end(result, hosts, "renew", dry_run)


@app.command("rotate-ca")
def rotate_ca(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="ca, front-proxy-ca, etcd/ca, sa; all of them if none is named."),
    ] = None,
    inventory: Inventory = None,
    until: Annotated[
        str, typer.Option(help="The last stage of this run: trust, issue or drop.")
    ] = "drop",
    serial: Annotated[
        str, typer.Option(help="With -i: workers at a time, a number or a percentage.")
    ] = "1",
    timeout: Annotated[
        str, typer.Option(help="How long pods may take to follow, at each stage.")
    ] = "5m0s",
    yes: Yes = False,
    dry_run: DryRun = False,
    verbose: Verbose = 0,
) -> None:
    """Replace the cluster's authorities and its service-account key, with nothing interrupted.

    In three stages, each on every host before the next: both are trusted, the new ones sign, the old
    ones go. Run it again after an interruption: it goes on.
    """
    from kubeinstall.cli.node import seconds_of
    from kubeinstall.pki.inventory import AUTHORITIES
    from kubeinstall.pki.replacement import SERVICE_ACCOUNT
    from kubeinstall.provision.certificates import STAGES, RotateOptions

    known = [*(spec.name for spec in AUTHORITIES), SERVICE_ACCOUNT]
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise typer.BadParameter(
            f"there is no authority {unknown[0]!r}; choose from {', '.join(known)}"
        )
    if until not in STAGES:
        raise typer.BadParameter(f"{until!r} is none of {', '.join(STAGES)}", param_hint="--until")
    options = RotateOptions(
        names=tuple(dict.fromkeys(names or ())),
        until=until,
        serial=serial,
        timeout=int(seconds_of(timeout, "--timeout")),
        check=dry_run,
        verbosity=verbose,
    )
    if not (yes or dry_run):
        typer.confirm(
            "[certs] Replace the authorities? Kubeconfigs elsewhere must follow.", abort=True
        )
    if inventory is None:
        from kubeinstall.provision.certificates_here import rotate_here

        rotate_here(options, write)
        return
    from kubeinstall.provision.certificates import run_rotation
    from kubeinstall.provision.inventory.load import load

    _end(*run_rotation(load(inventory), options, out()), "rotate-ca", dry_run)


def _end(result: RunResult, hosts: list[str], word: str, dry_run: bool) -> None:
    from kubeinstall.provision.hosts_display import host_summary

    write(host_summary(result, hosts))
    done = ("would change" if dry_run else "done") if result.ok else "stopped"
    write(f"kubeinstall certs {word}: {done} in {result.seconds:.1f} s, changed={result.changed}")
    if not result.ok:
        raise typer.Exit(1)


@app.command("certificate-key")
def certificate_key() -> None:
    """Print a random key, with which shared certificates are encrypted."""
    from kubeinstall.pki import new_certificate_key

    write(new_certificate_key())


@app.command("generate-csr")
def generate_csr(
    cert_dir: CertDir = PKI,
    kubeconfig_dir: Annotated[Path, typer.Option(help="Where kubeconfig files go.")] = KUBERNETES,
    config: ConfigFile = None,
) -> None:
    """Make keys and signing requests, for a CA that is kept elsewhere."""
    from kubeinstall.pki.requests import write_requests

    for path in write_requests(kubeconfig_dir, cert_dir, _identity(config)):
        write(f"generated {path}")


def _identity(config: Path | None) -> ClusterIdentity:
    """Of the file, or of the cluster that runs here, or of the defaults."""
    from kubeinstall.ansible.identity import identity_of
    from kubeinstall.provision.certificates_here import configuration

    return identity_of(configuration(config))
