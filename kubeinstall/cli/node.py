"""`kubeinstall node`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kubeinstall.cli.console import write
from kubeinstall.cli.options import ADMIN, AdminKubeconfig

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

app = typer.Typer(
    help="Look after nodes: empty them for work, take them off the cluster, replace them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Nodes = Annotated[list[str], typer.Argument(metavar="NODE...", help="Names of nodes.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Inventory = Annotated[
    Path, typer.Option("--inventory", "-i", help="The cluster's inventory, a file or a folder.")
]


@app.command("cordon")
def cordon(nodes: Nodes, kubeconfig: AdminKubeconfig = ADMIN, dry_run: DryRun = False) -> None:
    """Mark nodes as unschedulable: no new pods come, those that run stay."""
    _mark(nodes, kubeconfig, unschedulable=True, dry_run=dry_run)


@app.command("uncordon")
def uncordon(nodes: Nodes, kubeconfig: AdminKubeconfig = ADMIN, dry_run: DryRun = False) -> None:
    """Mark nodes as schedulable."""
    _mark(nodes, kubeconfig, unschedulable=False, dry_run=dry_run)


def _mark(nodes: list[str], kubeconfig: Path, *, unschedulable: bool, dry_run: bool) -> None:
    from kubeinstall.ansible.drain import cordon as mark
    from kubeinstall.provision.tokens import with_cluster

    word = "cordoned" if unschedulable else "uncordoned"

    async def work(client: ApiClient) -> None:
        for name in nodes:
            done = await mark(client, name, unschedulable=unschedulable, dry_run=dry_run)
            write(f"node/{name} {word if done else f'already {word}'}{_DRY if dry_run else ''}")

    with_cluster(kubeconfig, work)


_DRY = " (dry run)"


@app.command("drain")
def drain(
    nodes: Nodes,
    force: Annotated[
        bool, typer.Option("--force", help="Also remove pods that nobody will make again.")
    ] = False,
    ignore_daemonsets: Annotated[
        bool, typer.Option("--ignore-daemonsets", help="Leave DaemonSets' pods where they are.")
    ] = False,
    delete_emptydir_data: Annotated[
        bool, typer.Option("--delete-emptydir-data", help="Also remove pods with emptyDir volumes.")
    ] = False,
    disable_eviction: Annotated[
        bool,
        typer.Option("--disable-eviction", help="Delete pods, past PodDisruptionBudgets."),
    ] = False,
    grace_period: Annotated[
        int, typer.Option(help="Seconds given to each pod to end; -1 for its own.")
    ] = -1,
    timeout: Annotated[
        str, typer.Option(help="How long to try, such as 90s or 5m; 0s without end.")
    ] = "0s",
    pod_selector: Annotated[str, typer.Option(help="Only pods with these labels.")] = "",
    skip_wait_for_delete_timeout: Annotated[
        int, typer.Option(help="Don't wait for pods that have been terminating for these seconds.")
    ] = 0,
    kubeconfig: AdminKubeconfig = ADMIN,
    dry_run: DryRun = False,
) -> None:
    """Empty nodes for work on them: cordon, then evict, with respect for PodDisruptionBudgets.

    As kubectl drain. Pods of DaemonSets, with emptyDir data or without a controller stop it unless a
    flag says what to do with them; nothing is evicted then. Uncordon the node when the work is done.
    """
    from kubeinstall.ansible.drain import DrainOptions
    from kubeinstall.ansible.drain import drain as drain_node
    from kubeinstall.provision.tokens import with_cluster

    options = DrainOptions(
        force=force,
        ignore_daemonsets=ignore_daemonsets,
        delete_emptydir_data=delete_emptydir_data,
        disable_eviction=disable_eviction,
        grace_period=grace_period,
        timeout=seconds_of(timeout, "--timeout"),
        skip_wait_seconds=float(skip_wait_for_delete_timeout),
        pod_selector=pod_selector,
    )

    async def work(client: ApiClient) -> None:
        for name in nodes:
            for change in await drain_node(client, name, options, write, dry_run=dry_run):
                if dry_run:
                    write(f"{change}{_DRY}")
            write(f"node/{name} drained{_DRY if dry_run else ''}")

    with_cluster(kubeconfig, work)


def seconds_of(text: str, flag: str) -> float:
    """Seconds of a Go duration; a wrong one is told with its flag."""
    from kubeinstall.config.durations import parse_duration

    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=flag) from error
