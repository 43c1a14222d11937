"""`kubeinstall token`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kubeinstall.cli.console import write
from kubeinstall.cli.options import ADMIN, AdminKubeconfig, ConfigFile, DryRun, split

if TYPE_CHECKING:
    from kubeinstall.provision.tokens import TokenInfo

_FORMATS = ("text", "json", "yaml")

app = typer.Typer(
    help="Manage bootstrap tokens, with which new hosts join the cluster.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("create")
def create(
    token: Annotated[str, typer.Argument(help="The token; random unless given.")] = "",
    config: ConfigFile = None,
    ttl: Annotated[str, typer.Option(help="Its life, such as 2h0m0s; 0 never expires.")] = "",
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    usages: Annotated[
        list[str] | None, typer.Option(help="What it is good for (signing,authentication).")
    ] = None,
    groups: Annotated[
        list[str] | None, typer.Option(help="Extra groups; must begin system:bootstrappers:")
    ] = None,
    print_join_command: Annotated[
        bool,
        typer.Option("--print-join-command", help="Print the whole join command, not the token."),
    ] = False,
    certificate_key: Annotated[
        str, typer.Option(help="With --print-join-command: print the command of a control plane.")
    ] = "",
    kubeconfig: AdminKubeconfig = ADMIN,
    dry_run: DryRun = False,
) -> None:
    """Create a bootstrap token and print it.

    With --config, an InitConfiguration says what it is: its first bootstrapTokens entry.
    """
    from kubeinstall.provision import tokens
    from kubeinstall.provision.closing import join_command
    from kubeinstall.provision.token_request import wanted

    wish = wanted(
        config,
        {
            "token": token,
            "ttl": ttl,
            "description": description,
            "usages": split(usages),
            "groups": split(groups),
        },
    )
    if dry_run:
        write(f"[dryrun] Would create the bootstrap token {wish.token.token_id}.…")
        return
    made = tokens.create_token(kubeconfig, wish)
    if print_join_command:
        address = tokens.server_address(kubeconfig)
        command = join_command(address, str(made), tokens.authority_pin(kubeconfig))
        if certificate_key:
            command += f" \\\n\t--control-plane --certificate-key {certificate_key}"
        write(command)
    else:
        write(str(made))


@app.command("list")
def list_(
    output: Annotated[
        str, typer.Option("--output", "-o", help="text, json or yaml.", metavar="FORMAT")
    ] = "text",
    kubeconfig: AdminKubeconfig = ADMIN,
) -> None:
    """List the cluster's bootstrap tokens."""
    from kubeinstall.provision.tokens import document_of, list_tokens

    if output not in _FORMATS:
        raise typer.BadParameter(f"{output!r}: there are {', '.join(_FORMATS)}")
    found = list_tokens(kubeconfig)
    if output == "json":
        import json

        for info in found:
            write(json.dumps(document_of(info), indent=4))
        return
    if output == "yaml":
        import yaml

        texts = [yaml.safe_dump(document_of(info), sort_keys=True) for info in found]
        if texts:
            write("---\n".join(texts).rstrip())
        return
    _table(found)


def _table(found: list[TokenInfo]) -> None:
    from datetime import UTC, datetime

    from kubeinstall.pki.expiry import remaining

    now = datetime.now(UTC)
    rows = [("TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS")]
    for info in found:
        expires = info.expires
        life = "<forever>" if expires is None else remaining(expires, now)
        when = "<never>" if expires is None else expires.strftime("%Y-%m-%dT%H:%M:%SZ")
        description = info.description or "<none>"
        usages = ",".join(info.usages) or "<none>"
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
    dry_run: DryRun = False,
) -> None:
    """Delete bootstrap tokens."""
    from kubeinstall.provision.tokens import delete_token, token_id_of

    ids = [token_id_of(name) for name in names]
    for token_id in ids:
        if dry_run:
            write(f"[dryrun] Would delete the bootstrap token {token_id!r}")
            continue
        delete_token(kubeconfig, token_id)
        write(f'bootstrap token "{token_id}" deleted')


@app.command("generate")
def generate() -> None:
    """Print a random token, and create nothing: for a configuration file."""
    from kubeinstall.pki import BootstrapToken

    write(str(BootstrapToken.generate()))
