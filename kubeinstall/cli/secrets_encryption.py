"""`kubeinstall secrets-encryption`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from kubeinstall.cli.console import write
from kubeinstall.cli.options import ADMIN, AdminKubeconfig

app = typer.Typer(
    help="See and rotate the keys with which Secrets are stored.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Step(StrEnum):
    """A step of a rotation."""

    add = "add"
    promote = "promote"
    drop = "drop"


@app.command("status")
def status() -> None:
    """Show which keys there are and how many stored objects each holds."""
    from kubeinstall.provision.secrets_encryption import label
    from kubeinstall.provision.secrets_encryption import status as look

    found = look()
    write(f"configuration: {found.path}")
    for resources, keys in found.entries:
        write(f"resources:     {', '.join(resources)}")
        for index, (provider, name) in enumerate(keys):
            role = "writes" if index == 0 else "reads"
            count = found.stored.get(label(provider, name), 0)
            write(f"  {label(provider, name) or 'plain (identity)':<28} {role:<7} {count} stored")
    if found.outdated:
        write(
            f"{found.outdated} objects are not stored with the current key: kubeinstall secrets-encryption reencrypt"
        )


@app.command("rotate")
def rotate(
    kubeconfig: AdminKubeconfig = ADMIN,
    step: Annotated[
        Step | None,
        typer.Option(help="Only one step, where several API servers share a datastore."),
    ] = None,
) -> None:
    """Make a new key, store every object with it, and drop the old one.

    The API server restarts twice. Safe to run again after an interruption.
    """
    from kubeinstall.provision import secrets_encryption as work

    if step is None:
        work.rotate(kubeconfig, write)
    else:
        work.step(step.value, write)


@app.command("reencrypt")
def reencrypt(kubeconfig: AdminKubeconfig = ADMIN) -> None:
    """Store every object of the configured resources again, with the current key."""
    from kubeinstall.provision.secrets_encryption import reencrypt as work

    work(kubeconfig, write)
