"""`kubeinstall certs`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kubeinstall.cli.console import write
from kubeinstall.cli.options import PKI, CertDir, ConfigFile

if TYPE_CHECKING:
    from kubeinstall.pki import ClusterIdentity

app = typer.Typer(
    help="Look after the cluster's certificates.", no_args_is_help=True, rich_markup_mode=None
)
KUBERNETES = Path("/etc/kubernetes")


@app.command("check-expiration")
def check_expiration(cert_dir: CertDir = PKI, config: ConfigFile = None) -> None:
    """Show when each certificate ends."""
    from kubeinstall.pki.expiry import expiries, remaining

    now = datetime.now(UTC)
    report = expiries(KUBERNETES, cert_dir, _identity(config))
    leaves = [item for item in report if not item.is_authority]
    authorities = [item for item in report if item.is_authority]
    write(
        f"{'CERTIFICATE':<26} {'EXPIRES':<22} {'RESIDUAL TIME':<15} "
        f"{'CERTIFICATE AUTHORITY':<23} EXTERNALLY MANAGED"
    )
    for item in leaves:
        if item.not_after is None:
            write(f"!MISSING! {item.name}")
            continue
        when = item.not_after.strftime("%b %d, %Y %H:%M UTC")
        managed = "yes" if item.externally_managed else "no"
        authority = item.authority.replace("/", "-")
        left = remaining(item.not_after, now)
        write(f"{item.name:<26} {when:<22} {left:<15} {authority:<23} {managed}")
    write(
        f"\n{'CERTIFICATE AUTHORITY':<26} {'EXPIRES':<22} {'RESIDUAL TIME':<15} EXTERNALLY MANAGED"
    )
    for item in authorities:
        if item.not_after is None:
            write(f"!MISSING! {item.name}")
            continue
        when = item.not_after.strftime("%b %d, %Y %H:%M UTC")
        managed = "yes" if item.externally_managed else "no"
        write(f"{item.name:<26} {when:<22} {remaining(item.not_after, now):<15} {managed}")


@app.command("renew")
def renew(
    names: Annotated[
        list[str], typer.Argument(help="Names as check-expiration shows them, or all.")
    ],
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
) -> None:
    """Issue certificates afresh, and restart just the components that use them."""
    from kubeinstall.config.durations import parse_duration
    from kubeinstall.pki.expiry import renewable
    from kubeinstall.provision import renewal

    identity = _identity(config)
    chosen = renewable(identity) if names == ["all"] else names
    unknown = [name for name in chosen if name not in renewable(identity)]
    if unknown:
        raise typer.BadParameter(
            f"there is no certificate {unknown[0]!r}; choose from "
            f"{', '.join(renewable(identity))}, all"
        )
    if within:
        ending = renewal.due(KUBERNETES, cert_dir, identity, parse_duration(within))
        chosen = [name for name in chosen if name in ending]
        if not chosen:
            write(f"no certificate ends within {within}; nothing to renew")
            return
    renewal.renew_all(KUBERNETES, cert_dir, identity, chosen, write)
    if restart and cert_dir == PKI and (KUBERNETES / "components.yaml").exists():
        renewal.apply_renewed(chosen, write)
        return
    write("Done. Components that run with the old ones must be restarted: kubeinstall init")


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
    from kubeinstall.ansible.hostinfo import default_address, host_name
    from kubeinstall.ansible.identity import identity_of
    from kubeinstall.config import load_init
    from kubeinstall.provision.checks import as_variables
    from kubeinstall.provision.installed import installed_overrides

    init, cluster = installed_overrides() if config is None else ({}, {})
    loaded = load_init(
        config,
        node_name=host_name(),
        address=default_address(),
        init_overrides=init,
        cluster_overrides=cluster,
    )
    return identity_of(as_variables(loaded))
