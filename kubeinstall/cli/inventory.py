"""`kubeinstall inventory`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kubeinstall.cli.apply import InventoryPath
from kubeinstall.cli.console import write
from kubeinstall.cli.options import split
from kubeinstall.errors import KubeinstallError

app = typer.Typer(help="Make and check inventories.", no_args_is_help=True, rich_markup_mode=None)
Names = Annotated[
    list[str] | None, typer.Option(metavar="HOSTS", help="name[=address], comma separated.")
]


@app.command("init")
def init(
    control_plane: Names = None,
    workers: Names = None,
    etcd: Names = None,
    user: Annotated[str, typer.Option(help="Whom to log in as.")] = "root",
    private_key: Annotated[str, typer.Option(metavar="FILE", help="SSH key to log in with.")] = "",
    control_plane_endpoint: Annotated[
        str, typer.Option(help="A stable address or DNS name for the control plane.")
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write there, if nothing is there yet."
        ),
    ] = None,
) -> None:
    """Print an inventory. Hosts are `name`, `name=address` or `user@name=address:port`.

    Without --etcd, several control planes run etcd themselves (stacked).
    """
    from kubeinstall.provision.inventory.make import make_inventory

    names = split(control_plane)
    if not names:
        raise typer.BadParameter("name at least one host with --control-plane")
    cluster = {"controlPlaneEndpoint": control_plane_endpoint} if control_plane_endpoint else None
    text = make_inventory(
        names, split(workers), split(etcd), user=user, private_key=private_key, cluster=cluster
    )
    if output is None:
        write(text)
        return
    if output.exists():
        raise KubeinstallError(f"{output}: is there already; it is not overwritten")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text)
    write(f"kubeinstall inventory: written to {output}; next: kubeinstall apply -i {output.parent}")


@app.command("validate")
def validate(inventory: InventoryPath) -> None:
    """Check an inventory as apply would; no host is touched."""
    from kubeinstall.provision.inventory.load import load

    found = load(inventory).inventory
    groups = (
        ("control planes", found.control_planes),
        ("etcd", found.etcd),
        ("workers", found.workers),
    )
    for title, names in groups:
        write(f"{title:15} {', '.join(f'{n} ({found.hosts[n].address})' for n in names) or 'none'}")
