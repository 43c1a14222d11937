"""`kubeinstall node`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kubeinstall.cli.console import write
from kubeinstall.cli.options import ADMIN, AdminKubeconfig, Verbose

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


@app.command("remove")
def remove(
    names: Annotated[list[str], typer.Argument(metavar="HOST...", help="Hosts of the inventory.")],
    inventory: Inventory,
    drain: Annotated[bool, typer.Option("--drain/--no-drain", help="Empty them first.")] = True,
    drain_timeout: Annotated[
        str, typer.Option(help="How long to try to empty each, such as 5m; 0s without end.")
    ] = "5m0s",
    reset: Annotated[
        bool, typer.Option("--reset/--no-reset", help="Take Kubernetes off the hosts too.")
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")] = False,
    dry_run: DryRun = False,
    verbose: Verbose = 0,
) -> None:
    """Take workers, control planes or etcd members off the cluster.

    Their nodes are emptied, their etcd members taken out (never below quorum), Kubernetes is taken off
    the hosts that answer, and their Nodes are deleted. Hosts that are dead are only forgotten.
    """
    from kubeinstall.cli.console import out
    from kubeinstall.provision.hosts_display import host_summary
    from kubeinstall.provision.inventory.load import load
    from kubeinstall.provision.nodes import RemoveOptions, run_remove

    options = RemoveOptions(
        drain=drain,
        drain_timeout=int(seconds_of(drain_timeout, "--drain-timeout")),
        reset=reset,
        check=dry_run,
        verbosity=verbose,
    )
    loaded = load(inventory)
    if not (yes or dry_run):
        typer.confirm(f"[node] Take {', '.join(names)} off the cluster?", abort=True)
    result, hosts, dead = run_remove(loaded, tuple(names), options, out())
    write(host_summary(result, hosts))
    if not result.ok:
        write(f"kubeinstall node remove: stopped in {result.seconds:.1f} s")
        raise typer.Exit(1)
    write(f"kubeinstall node remove: done in {result.seconds:.1f} s{_DRY if dry_run else ''}")
    for name in dead:
        write(f"{name} did not answer: should it ever come back, reset it (kubeinstall reset).")
    if not dry_run:
        write(
            f"Now take {', '.join(names)} out of {inventory}. Until then, kubeinstall apply refuses to make it anew; "
            f"kubeinstall apply --limit {','.join(names)} has it back."
        )


@app.command("replace")
def replace(
    name: Annotated[str, typer.Argument(metavar="HOST", help="The host of the inventory.")],
    inventory: Inventory,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")] = False,
    dry_run: DryRun = False,
    verbose: Verbose = 0,
) -> None:
    """Make a host anew whose disk was lost, the first control plane too.

    The host is bare again, with its old name in the inventory. What the cluster remembers of the old
    one (etcd member, Node) is forgotten; then the host is made as by apply, by another control plane.
    """
    from kubeinstall.cli.console import out
    from kubeinstall.provision.hosts_display import host_summary
    from kubeinstall.provision.inventory.load import load
    from kubeinstall.provision.nodes import RemoveOptions, run_replace

    loaded = load(inventory)
    if not (yes or dry_run):
        typer.confirm(f"[node] Make {name} anew? What is on it is lost.", abort=True)
    options = RemoveOptions(check=dry_run, verbosity=verbose)
    result, hosts = run_replace(loaded, name, options, out())
    write(host_summary(result, hosts))
    word = "done" if result.ok else "stopped"
    write(f"kubeinstall node replace: {word} in {result.seconds:.1f} s{_DRY if dry_run else ''}")
    if not result.ok:
        raise typer.Exit(1)
