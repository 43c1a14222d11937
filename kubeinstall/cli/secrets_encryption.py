"""`kubeinstall secrets-encryption`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kubeinstall.cli.console import out, write
from kubeinstall.cli.options import ADMIN, AdminKubeconfig, Verbose

if TYPE_CHECKING:
    from kubeinstall.provision.encryption_rotation import Cluster
    from kubeinstall.provision.secrets_encryption import Status

app = typer.Typer(
    help="See and rotate the keys with which Secrets are stored.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


Inventory = Annotated[
    Path | None,
    typer.Option(
        "--inventory",
        "-i",
        metavar="PATH",
        help="All control planes of an inventory, from here over SSH.",
    ),
]


class Step(StrEnum):
    """A step of a rotation."""

    add = "add"
    promote = "promote"
    drop = "drop"


@app.command("status")
def status(inventory: Inventory = None, verbose: Verbose = 0) -> None:
    """Show which keys there are and how many stored objects each holds.

    With --inventory also whether all control planes have the same keys; exits with 1 when they have not.
    """
    from kubeinstall.provision.secrets_encryption import Status
    from kubeinstall.provision.secrets_encryption import status as look

    if inventory is None:
        _show(look())
        return
    found, states = _cluster(inventory, verbose).status()
    entries = [(e[0], [(k[0], k[1]) for k in e[1]]) for e in found["entries"]]
    _show(Status(Path(found["path"]), entries, found["stored"]))
    same = len(set(states.values())) == 1
    write(f"control planes: {', '.join(states)}: {'the same keys' if same else 'DIFFERENT KEYS'}")
    if not same:
        write("run kubeinstall secrets-encryption rotate -i DIR, which goes on where it stopped")
        raise typer.Exit(1)


def _show(found: Status) -> None:
    from kubeinstall.provision.secrets_encryption import label

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
        typer.Option(help="Only one step, by hand, on this host."),
    ] = None,
    inventory: Inventory = None,
    verbose: Verbose = 0,
) -> None:
    """Make a new key, store every object with it, and drop the old one.

    With --inventory on all control planes, one at a time, so that each can always read what the others write. API
    servers restart, two or three times each. Safe to run again after an interruption: it goes on where it stopped.
    """
    from kubeinstall.provision import secrets_encryption as work

    if inventory is not None:
        if step is not None:
            raise typer.BadParameter("does not go with --inventory", param_hint="--step")
        from kubeinstall.provision.encryption_rotation import rotate as rotate_all

        rotate_all(_cluster(inventory, verbose), write)
    elif step is None:
        work.rotate(kubeconfig, write)
    else:
        work.step(step.value, write)


@app.command("reencrypt")
def reencrypt(
    kubeconfig: AdminKubeconfig = ADMIN, inventory: Inventory = None, verbose: Verbose = 0
) -> None:
    """Store every object of the configured resources again, with the current key."""
    if inventory is not None:
        from kubeinstall.provision.encryption_rotation import reencrypt as reencrypt_all

        reencrypt_all(_cluster(inventory, verbose), write)
        return
    from kubeinstall.provision.secrets_encryption import reencrypt as work

    work(kubeconfig, write)


def _cluster(inventory: Path, verbosity: int) -> Cluster:
    from kubeinstall.provision.encryption_rotation import Cluster
    from kubeinstall.provision.inventory.load import load

    return Cluster(load(inventory), out(), verbosity)
