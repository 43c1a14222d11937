"""`kubeinstall backup` and `kubeinstall restore`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kubeinstall.cli.console import out, write
from kubeinstall.cli.options import Verbose
from kubeinstall.errors import KubeinstallError

app = typer.Typer(
    help="Save this host's cluster to a file, by hand or by a timer.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

PassphraseFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A file whose first line is the passphrase."),
]
Directory = Annotated[Path, typer.Option(metavar="DIR", help="Where backups are kept.")]
Keep = Annotated[int, typer.Option(min=1, help="How many of this host's backups are kept.")]
DIRECTORY = Path("/var/backups/kubeinstall")


@app.command("create")
def create(
    file: Annotated[Path, typer.Argument(help="The file to write; must not be there.")],
    passphrase_file: PassphraseFile = None,
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help="Ask for a passphrase to encrypt with.")
    ] = False,
) -> None:
    """Save datastore, keys and configuration while the cluster runs.

    The file holds every Secret and the cluster's private keys: it is readable by root alone, and should be encrypted
    before it leaves the host.
    """
    from kubeinstall.provision.backup import create_backup

    secret = _new_passphrase(passphrase_file, ask=encrypt)
    manifest = create_backup(file, secret)
    size = file.stat().st_size
    sealed = "encrypted" if secret else "not encrypted"
    write(
        f"{file}: {manifest.objects} objects at revision {manifest.revision}, {size} bytes, {sealed}"
    )


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
        bool, typer.Option("--force", help="Replace the cluster that is on this host.")
    ] = False,
    verbose: Verbose = 0,
) -> None:
    """Make this host the one that the backup was made of: same authority, same objects, same UIDs.

    Needs root, and the host's former name and address. Refuses where a cluster is, without --force. May be run again
    when it was interrupted.
    """
    from kubeinstall.provision.backup import restore_backup

    _require(file)
    secret = _passphrase(file, passphrase_file)
    manifest = restore_backup(file, out(), write, passphrase=secret, force=force, verbosity=verbose)
    write(
        f"restored {manifest.objects} objects of {manifest.created}; KUBECONFIG=/etc/kubernetes/admin.conf"
    )


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
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise KubeinstallError(f"{path}: {error.strerror}") from error
    if not lines or not lines[0]:
        raise KubeinstallError(f"{path}: its first line must be the passphrase")
    return lines[0]
