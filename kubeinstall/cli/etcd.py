"""`kubeinstall etcd`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kubeinstall.cli.apply import InventoryPath, apply
from kubeinstall.cli.console import write
from kubeinstall.cli.options import Verbose, split
from kubeinstall.errors import KubeinstallError

app = typer.Typer(
    help="etcd: members, snapshots, space. Run it on a host of etcd; `add` where the inventory is.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("members")
def members() -> None:
    """List the members."""
    from kubeinstall.provision.etcd import local_client

    for member in sorted(local_client().members(), key=lambda m: m.name):
        kind = "learner" if member.learner else "voter"
        write(f"{member.id:17} {member.name or '(never started)':20} {kind:8} {member.peer_url}")


@app.command("status")
def status() -> None:
    """How each member does; exits with 1 unless all are healthy."""
    from kubeinstall.provision.etcd import advice, alarms, local_client, states

    client = local_client()
    found = states(client)
    for state in found:
        words = ["healthy" if state.healthy else "NOT HEALTHY"]
        words += ["leader"] if state.leader else []
        words += ["learner"] if state.member.learner else []
        if state.error:
            words.append(state.error)
        else:
            sizes = f"{state.size / 2**20:.1f} MB ({state.in_use / 2**20:.1f} in use)"
            words.append(f"{state.version}, {sizes}, index {state.index}")
        write(f"{state.member.name or state.member.id:20} {', '.join(words)}")
    raised = alarms(client)
    names = {state.member.id: state.member.name for state in found}
    for member, alarm in raised:
        write(f"ALARM {alarm} of {names.get(member) or member}: {advice(alarm)}")
    if raised or not all(state.healthy for state in found):
        raise typer.Exit(1)


@app.command("add")
def add(
    names: Annotated[list[str], typer.Argument(help="Hosts of the inventory's group etcd.")],
    inventory: InventoryPath,
    verbose: Verbose = 0,
) -> None:
    """Bring hosts of the inventory into etcd: as learners first, promoted when they have caught up."""
    from kubeinstall.provision.inventory.load import load

    found = load(inventory).inventory
    strangers = [name for name in names if name not in found.etcd]
    if strangers:
        raise KubeinstallError(
            f"{', '.join(strangers)}: not in the group etcd of {inventory}; add it there first"
        )
    apply(inventory, limit=list(names), verbose=verbose)


@app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(help="Name or id of the member.")],
    force: Annotated[bool, typer.Option(help="Even if the rest has no quorum.")] = False,
) -> None:
    """Take a member out. Refused where the cluster would lose its quorum."""
    from kubeinstall.provision.etcd import local_client, remove_member

    gone = remove_member(local_client(), name, force=force)
    write(
        f"kubeinstall etcd: removed {gone.name or gone.id}; take it out of the inventory's group etcd too"
    )


@app.command("defrag")
def defrag(
    every: Annotated[
        bool, typer.Option("--all", help="Also members that it frees little of.")
    ] = False,
) -> None:
    """Give back what deleted history took, one member at a time, the leader last.

    A member answers nothing meanwhile. It is not begun, nor gone on with, while one is not healthy.
    """
    from kubeinstall.provision.etcd import local_client
    from kubeinstall.provision.etcd_upkeep import defragment

    freed = defragment(local_client(), write, every=every)
    write(f"kubeinstall etcd: {freed / 2**20:.1f} MB given back")


@app.command("reclaim")
def reclaim() -> None:
    """Out of the alarm NOSPACE: compact history, defragment every member, take the alarm back."""
    from kubeinstall.provision.etcd import local_client
    from kubeinstall.provision.etcd_upkeep import reclaim as work

    work(local_client(), write)


@app.command("upkeep")
def upkeep(
    directory: Annotated[
        Path, typer.Option(metavar="DIR", help="Where snapshots are kept.")
    ] = Path("/var/backups/kubeinstall/etcd"),
    keep: Annotated[int, typer.Option(min=1, help="How many of this host's are kept.")] = 7,
) -> None:
    """A snapshot, and what this member needs: what the timer does (kubeinstall_etcd_upkeep)."""
    from kubeinstall.provision.etcd import local_client
    from kubeinstall.provision.etcd_upkeep import upkeep as work

    work(local_client(), directory, keep, write)


@app.command("snapshot")
def snapshot(path: Annotated[Path, typer.Argument(help="The file to write.")]) -> None:
    """Save the whole datastore to a file. It holds every Secret: keep it private."""
    from kubeinstall.provision.etcd import local_client, save_snapshot

    write(f"kubeinstall etcd: {path}: {save_snapshot(local_client(), path)}")


@app.command("restore")
def restore(
    path: Annotated[Path, typer.Argument(help="A snapshot.")],
    members: Annotated[
        list[str] | None,
        typer.Option(
            "--member",
            metavar="NAME=URL",
            help="Members of the cluster to be; default: as first started.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Do not ask.")] = False,
) -> None:
    """Put this host's member back to a snapshot. Run it with the same file on every member's host."""
    from kubeinstall.provision.etcd import local_client, restore_snapshot, wait_healthy

    if not force:
        write("[etcd] WARNING: everything that was written after the snapshot is lost.")
        typer.confirm("[etcd] Restore?", abort=True)
    kept = restore_snapshot(path, split(members))
    write(f"kubeinstall etcd: restored; the data of before is kept in {kept}")
    if not wait_healthy(local_client(), 10):
        write(
            "It is healthy when most members are restored: run the same command on the other hosts of etcd."
        )
