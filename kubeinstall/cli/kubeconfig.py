"""`kubeinstall kubeconfig`."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Annotated

import typer

from kubeinstall.cli.options import PKI, CertDir, ConfigFile, split

app = typer.Typer(help="Kubeconfig files.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def callback() -> None:
    """Kubeconfig files."""


@app.command("user")
def user(
    client_name: Annotated[str, typer.Option(help="Name of the user: the certificate's CN.")],
    org: Annotated[list[str] | None, typer.Option(help="Groups: the certificate's O.")] = None,
    token: Annotated[
        str, typer.Option(help="The user's bearer token, instead of a client certificate.")
    ] = "",
    validity_period: Annotated[str, typer.Option(help="The certificate's life.")] = "8760h0m0s",
    cert_dir: CertDir = PKI,
    config: ConfigFile = None,
) -> None:
    """Print a kubeconfig for a user: with a new client certificate of the cluster's CA, or with --token."""
    from kubeinstall.cli.certs import _identity
    from kubeinstall.config.durations import parse_duration
    from kubeinstall.pki.certificates import Subject
    from kubeinstall.pki.ensure import load_authority
    from kubeinstall.pki.inventory import CA
    from kubeinstall.pki.kubeconfigs import client_kubeconfig, dump, token_kubeconfig

    try:
        validity: timedelta = parse_duration(validity_period)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--validity-period") from error
    from dataclasses import replace

    identity = replace(_identity(config), certificate_validity=validity)
    subject = Subject(client_name, tuple(split(org)))
    authority = load_authority(cert_dir, CA)
    document = (
        token_kubeconfig(authority, client_name, token, identity)
        if token
        else client_kubeconfig(authority, subject, identity)
    )
    sys.stdout.write(dump(document).decode())
