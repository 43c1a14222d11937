"""`kubeinstall image`: images without a registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kubeinstall.cli.console import write

app = typer.Typer(
    help="Make small images from Debian packages or local files; no registry is needed.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_SOCKET = Path("/run/containerd/containerd.sock")


@app.command("build")
def build(
    name: Annotated[str, typer.Argument(help="A preset (see image list), or a name of your own.")],
    package: Annotated[
        list[str] | None, typer.Option("--package", "-p", help="A Debian package to put in.")
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--file", "-f", metavar="PATH=LOCAL", help="A local file or folder to put in."
        ),
    ] = None,
    entrypoint: Annotated[
        list[str] | None, typer.Option(help="A word of the entrypoint; repeat for more.")
    ] = None,
    cmd: Annotated[
        list[str] | None, typer.Option(help="A word of the default command; repeat for more.")
    ] = None,
    env: Annotated[list[str] | None, typer.Option("--env", "-e", metavar="KEY=VALUE")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the archive here, import nothing.")
    ] = None,
) -> None:
    """Make an image and import it into containerd, where pods can use it at once.

    For example: kubeinstall image build nginx
    or: kubeinstall image build tools -p curl -p dnsutils --cmd sleep --cmd infinity
    """
    import tempfile

    from kubeinstall.images import PRESETS, build_preset, import_image
    from kubeinstall.images import build as build_image
    from kubeinstall.images.archive import ImageConfig

    with tempfile.TemporaryDirectory(prefix="kubeinstall-image-") as folder:
        target = output or Path(folder) / "image.tar"
        if name in PRESETS and not (package or file):
            image = build_preset(name, output=target)
        else:
            config = ImageConfig(
                entrypoint=list(entrypoint or []),
                cmd=list(cmd or []),
                env=_pairs(env, "--env"),
            )
            image = build_image(
                name,
                packages=list(package or []),
                files=dict(_pairs(file, "--file")),
                config=config,
                output=target,
            )
        write(f"built {image.name} ({image.size / 1e6:.1f} MB, {image.digest})")
        if output is None:
            import_image(target)
            write(f"imported; use it with --image={image.name.removeprefix('docker.io/library/')}")
        else:
            write(f"wrote {output}")


@app.command("list")
def list_() -> None:
    """List the presets, and what containerd holds."""
    from kubeinstall.images import PRESETS, list_images

    write("presets:")
    for preset in PRESETS.values():
        write(f"  {preset.name:<10} {preset.help}")
    if _SOCKET.exists():
        write("in containerd:")
        for image in sorted(list_images()):
            if not image.startswith("sha256:"):
                write(f"  {image}")


def _pairs(values: list[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for value in values or []:
        key, sign, text = value.partition("=")
        if not sign:
            raise typer.BadParameter(f"{value!r} is not KEY=VALUE", param_hint=option)
        pairs[key] = text
    return pairs
