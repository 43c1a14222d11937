"""`kubeinstall bundle`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kubeinstall.cli.console import write

app = typer.Typer(
    help="Install where there is no network: all that is needed in one file.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("create")
def create(
    file: Annotated[Path, typer.Argument(help="The file to write; must not be there.")],
) -> None:
    """Gather kubeinstall, Debian packages and images, on a host that reaches Debian's mirror.

    On the host without network, as root:

    \b
        tar -xOf FILE install.sh | sh -s FILE
        kubeinstall init --bundle FILE
    """
    from kubeinstall.provision.bundle import create_bundle

    manifest = create_bundle(file, write)
    write(
        f"{file}: {len(manifest.files)} files, {file.stat().st_size >> 20} MiB, for Debian {manifest.codename} on "
        f"{manifest.architecture} with Python {manifest.python}"
    )


@app.command("verify")
def verify(file: Annotated[Path, typer.Argument(help="The bundle.")]) -> None:
    """Compare every file of a bundle with the manifest's checksum."""
    import tempfile

    from kubeinstall.provision.bundle import unpack_bundle

    with tempfile.TemporaryDirectory(dir=file.absolute().parent) as folder:
        manifest = unpack_bundle(file, Path(folder))
    write(f"{file}: whole, {len(manifest.files)} files, made {manifest.created}")
