"""`kubeinstall backup` and `kubeinstall restore`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kubeinstall.cli.console import out, write
from kubeinstall.cli.options import DryRun, Verbose
from kubeinstall.errors import KubeinstallError

if TYPE_CHECKING:
    from kubeinstall.provision.cluster_backup import RestoreOptions

app = typer.Typer(
    help="Save this host's cluster, or an inventory's, to a file, by hand or by a timer.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

PassphraseFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A file whose first line is the passphrase."),
]
Directory = Annotated[Path, typer.Option(metavar="DIR", help="Where backups are kept.")]
Inventory = Annotated[
    Path | None,
    typer.Option(
        "--inventory", "-i", metavar="PATH", help="The cluster of an inventory, from here over SSH."
    ),
]
Keep = Annotated[int, typer.Option(min=1, help="How many of this host's backups are kept.")]
DIRECTORY = Path("/var/backups/kubeinstall")


@app.command("create")
def create(
    file: Annotated[Path, typer.Argument(help="The file to write; must not be there.")],
    passphrase_file: PassphraseFile = None,
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help="Ask for a passphrase to encrypt with.")
    ] = False,
    inventory: Inventory = None,
    verbose: Verbose = 0,
) -> None:
    """Save datastore, keys and configuration while the cluster runs.

    On a control plane, or with --inventory from where that is: the file is then written here. It holds every Secret and
    the cluster's private keys: only its owner may read it, and it should be encrypted before it leaves the host.
    """
    from kubeinstall.provision.backup import create_backup

    if file.exists():
        raise KubeinstallError(f"{file}: is there already")
    secret = _new_passphrase(passphrase_file, ask=encrypt)
    if inventory is not None:
        objects, revision = _save_from_afar(inventory, file, secret, verbose)
    else:
        manifest = create_backup(file, secret)
        objects, revision = manifest.objects, manifest.revision
    size = file.stat().st_size
    sealed = "encrypted" if secret else "not encrypted"
    write(f"{file}: {objects} objects at revision {revision}, {size} bytes, {sealed}")


def _save_from_afar(inventory: Path, file: Path, secret: bytes, verbosity: int) -> tuple[int, int]:
    from kubeinstall.provision.cluster_backup import run_backup
    from kubeinstall.provision.inventory.load import load

    result, made = run_backup(load(inventory), file, secret, out(), verbosity=verbosity)
    if not result.ok:
        raise typer.Exit(1)
    return int(made["objects"]), int(made["revision"])


@app.command("list")
def list_backups(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files or folders.")] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Show what is in backups."""
    from kubeinstall.provision.backup import read_manifest
    from kubeinstall.provision.backup.container import is_sealed

    write(f"{'CREATED':<21} {'NODE':<16} {'KUBERNETES':<11} {'OBJECTS':>8} {'SIZE':>12}  FILE")
    for path in _files(paths or [DIRECTORY]):
        size = path.stat().st_size
        if is_sealed(path) and passphrase_file is None:
            write(f"{'encrypted':<21} {'-':<16} {'-':<11} {'-':>8} {size:>12}  {path}")
            continue
        try:
            found = read_manifest(path, _passphrase(path, passphrase_file))
        except KubeinstallError as error:
            write(f"{'unreadable':<21} {'-':<16} {'-':<11} {'-':>8} {size:>12}  {path}: {error}")
            continue
        write(
            f"{found.created:<21} {found.node:<16} {found.kubernetes:<11} {found.objects:>8} {size:>12}  {path}"
        )


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Check every checksum, the datastore's integrity, and that the keys belong together."""
    from kubeinstall.provision.backup import verify_backup

    _require(file)
    manifest = verify_backup(file, _passphrase(file, passphrase_file))
    write(
        f"{file}: whole. {manifest.objects} objects at revision {manifest.revision}, made {manifest.created} "
        f"on {manifest.node}"
    )


@app.command("run")
def run_now(
    directory: Directory = DIRECTORY,
    keep: Keep = 7,
    every: Annotated[
        str, typer.Option(help="Go on for ever, with this much time between backups.")
    ] = "",
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make a backup named by host and time, and remove the oldest: what the timer does."""
    from kubeinstall.provision.backup.schedule import run_forever, run_once

    secret = _read(passphrase_file) if passphrase_file else b""
    if every:
        run_forever(directory, keep, every, secret, write)
        return
    path, manifest, gone = run_once(directory, keep, secret)
    write(f"{path}: {manifest.objects} objects at revision {manifest.revision}")
    for old in gone:
        write(f"removed {old}")


@app.command("schedule")
def schedule(
    directory: Directory = DIRECTORY,
    every: Annotated[str, typer.Option(help="Time between backups, such as 6h or 24h.")] = "24h",
    keep: Keep = 7,
    passphrase_file: PassphraseFile = None,
    off: Annotated[bool, typer.Option("--off", help="No more backups by themselves.")] = False,
) -> None:
    """Have backups made regularly, the first at once."""
    from kubeinstall.provision.backup.schedule import end_schedule, ensure_schedule

    if passphrase_file is not None:
        _read(passphrase_file)
        passphrase_file = passphrase_file.absolute()
    outcome = (
        end_schedule()
        if off
        else ensure_schedule(directory.absolute(), keep, every, passphrase_file)
    )
    for change in outcome.changes or ["nothing to change"]:
        write(change)


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    passphrase_file: PassphraseFile = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the cluster that is on the host or hosts.")
    ] = False,
    inventory: Inventory = None,
    other_hosts: Annotated[
        bool,
        typer.Option(
            "--other-hosts",
            help="With -i: the hosts need not be those that the backup was made of.",
        ),
    ] = False,
    dry_run: DryRun = False,
    verbose: Verbose = 0,
) -> None:
    """Make this host, or with -i all hosts of an inventory, the cluster that the backup was made of.

    Same authorities, same objects, same UIDs. Needs the former names and addresses. Refuses where a cluster is, without
    --force. May be run again when it was interrupted.
    """
    _require(file)
    secret = _passphrase(file, passphrase_file)
    if inventory is not None:
        from kubeinstall.provision.cluster_backup import RestoreOptions

        _restore_from_afar(
            inventory,
            file,
            RestoreOptions(secret, force, other_hosts, check=dry_run, verbosity=verbose),
        )
        return
    if other_hosts or dry_run:
        raise typer.BadParameter("goes with --inventory", param_hint="--other-hosts, --dry-run")
    from kubeinstall.provision.backup import restore_backup

    manifest = restore_backup(file, out(), write, passphrase=secret, force=force, verbosity=verbose)
    write(
        f"restored {manifest.objects} objects of {manifest.created}; KUBECONFIG=/etc/kubernetes/admin.conf"
    )


def _restore_from_afar(inventory: Path, file: Path, options: RestoreOptions) -> None:
    from kubeinstall.provision.cluster_backup import run_restore
    from kubeinstall.provision.hosts_display import host_summary
    from kubeinstall.provision.inventory.load import load

    loaded = load(inventory)
    result, found = run_restore(loaded, file, options, out())
    write(host_summary(result, list(loaded.inventory.hosts)))
    if not result.ok:
        write(f"kubeinstall restore: stopped in {result.seconds:.1f} s")
        raise typer.Exit(1)
    what = f"{found.get('objects')} objects of {found.get('created')}"
    if options.check:
        write(f"kubeinstall restore: {what} would be restored; nothing was changed")
    else:
        write(f"kubeinstall restore: {what} restored in {result.seconds:.1f} s")


def _files(given: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in given:
        _require(path)
        found += sorted(path.glob("*.backup")) if path.is_dir() else [path]
    return found


def _require(path: Path) -> None:
    if not path.exists():
        raise KubeinstallError(f"{path}: there is no such file")


def _passphrase(file: Path, passphrase_file: Path | None) -> bytes:
    from kubeinstall.provision.backup.container import is_sealed

    if not is_sealed(file):
        return b""
    if passphrase_file is not None:
        return _read(passphrase_file)
    if not sys.stdin.isatty():
        raise KubeinstallError(f"{file}: is encrypted; name its passphrase with --passphrase-file")
    return str(typer.prompt("Passphrase", hide_input=True)).encode()


def _new_passphrase(passphrase_file: Path | None, *, ask: bool) -> bytes:
    if passphrase_file is not None:
        return _read(passphrase_file)
    if not ask:
        return b""
    return str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True)).encode()


def _read(path: Path) -> bytes:
    from kubeinstall.provision.backup.passphrase import read_passphrase

    return read_passphrase(path)
