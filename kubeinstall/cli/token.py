"""`kubeinstall token`."""

from __future__ import annotations

from typing import Annotated

import typer

from kubeinstall.cli.console import write
from kubeinstall.cli.options import ADMIN, AdminKubeconfig, split

app = typer.Typer(
    help="Manage bootstrap tokens, with which new hosts join the cluster.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("create")
def create(
    token: Annotated[str, typer.Argument(help="The token; random unless given.")] = "",
    ttl: Annotated[
        str, typer.Option(help="Its life, such as 2h0m0s; 0 never expires.")
    ] = "24h0m0s",
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    usages: Annotated[
        list[str] | None, typer.Option(help="What it is good for (signing,authentication).")
    ] = None,
    groups: Annotated[
        list[str] | None, typer.Option(help="Extra groups; must begin system:bootstrappers:")
    ] = None,
    print_join_command: Annotated[
        bool, typer.Option(help="Print the whole join command instead of the token.")
    ] = False,
    certificate_key: Annotated[
        str, typer.Option(help="With --print-join-command: print the command of a control plane.")
    ] = "",
    kubeconfig: AdminKubeconfig = ADMIN,
) -> None:
    """Create a bootstrap token and print it."""
    from kubeinstall.config.durations import parse_duration
    from kubeinstall.pki.tokens import DEFAULT_GROUP, DEFAULT_USAGES
    from kubeinstall.provision import tokens
    from kubeinstall.provision.closing import join_command

    try:
        life = parse_duration(ttl)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--ttl") from error
    wanted = split(usages) or list(DEFAULT_USAGES)
    wrong = set(wanted) - {"signing", "authentication"}
    if wrong:
        raise typer.BadParameter("usages are signing, authentication", param_hint="--usages")
    made = tokens.create_token(
        kubeconfig,
        token=token,
        ttl=life,
        description=description,
        usages=tuple(wanted),
        groups=tuple(split(groups) or [DEFAULT_GROUP]),
    )
    if print_join_command:
        address = tokens.server_address(kubeconfig)
        command = join_command(address, str(made), tokens.authority_pin(kubeconfig))
        if certificate_key:
            command += f" \\\n\t--control-plane --certificate-key {certificate_key}"
        write(command)
    else:
        write(str(made))


@app.command("list")
def list_(kubeconfig: AdminKubeconfig = ADMIN) -> None:
    """List the cluster's bootstrap tokens."""
    from datetime import UTC, datetime

    from kubeinstall.pki.expiry import remaining
    from kubeinstall.provision.tokens import list_tokens

    now = datetime.now(UTC)
    rows = [("TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS")]
    for info in list_tokens(kubeconfig):
        expires = info.expires
        life = "<forever>" if expires is None else remaining(expires, now)
        when = "<never>" if expires is None else expires.strftime("%Y-%m-%dT%H:%M:%SZ")
        description = info.description or "<none>"
        usages = ",".join(reversed(info.usages)) or "<none>"
        groups = ",".join(info.groups) or "<none>"
        rows.append((str(info.token), life, when, usages, description, groups))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        write("   ".join(cells).rstrip())


@app.command("delete")
def delete(
    names: Annotated[list[str], typer.Argument(help="Tokens or token ids.")],
    kubeconfig: AdminKubeconfig = ADMIN,
) -> None:
    """Delete bootstrap tokens."""
    from kubeinstall.provision.tokens import delete_token

    for name in names:
        write(f'bootstrap token "{delete_token(kubeconfig, name)}" deleted')


@app.command("generate")
def generate() -> None:
    """Print a random token, and create nothing: for a configuration file."""
    from kubeinstall.pki import BootstrapToken

    write(str(BootstrapToken.generate()))
