"""Making an image: a root directory becomes an archive file."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubeinstall.images import debian
from kubeinstall.images.archive import ImageConfig, config_document, write_archive
from kubeinstall.images.errors import ImageError
from kubeinstall.images.layer import write_layer
from kubeinstall.images.presets import PRESETS, SANDBOX_IMAGE

_NAME = re.compile(
    r"^(?P<repository>[a-z0-9]+(?:(?:[._/:-]|__)[a-z0-9]+)*?)(?::(?P<tag>[A-Za-z0-9_][\w.-]{0,127}))?$"
)


@dataclass(frozen=True, slots=True)
class Image:
    """A finished image: its full name, the archive file, the manifest's digest, bytes."""

    name: str
    path: Path
    digest: str
    size: int


def full_name(name: str) -> str:
    """The name as containerd stores it: `nginx` is `docker.io/library/nginx:latest`.

    Raises `ImageError` for what is no image name.
    """
    match = _NAME.match(name)
    if match is None:
        raise ImageError(f'"{name}" is not an image name')
    repository, tag = match["repository"], match["tag"] or "latest"
    first, _, rest = repository.partition("/")
    if not rest:
        repository = f"docker.io/library/{repository}"
    elif not ("." in first or ":" in first or first == "localhost"):
        repository = f"docker.io/{repository}"
    return f"{repository}:{tag}"


def build(
    name: str,
    *,
    packages: Sequence[str] = (),
    files: Mapping[str, str | Path] | None = None,
    config: ImageConfig | None = None,
    output: Path | None = None,
) -> Image:
    """Make image `name` from Debian packages and local files.

    `files` maps a path in the image to a file or directory here. `output` is the archive to write,
    by default `<name>.tar` in the current directory. Raises `ImageError`.
    """
    given = dict(files or {})
    for source in given.values():
        if not Path(source).exists():
            raise ImageError(f"{source} does not exist")

    def fill(root: Path, work: Path) -> None:
        if packages:
            debian.make_root(packages, root, work)
        for inside, source in sorted(given.items()):
            _copy(Path(source), root, inside)

    return _finish(name, config or ImageConfig(), fill, output)


def build_preset(preset: str, *, name: str | None = None, output: Path | None = None) -> Image:
    """Make one of `PRESETS`; the sandbox image gets the name that containerd is told."""
    recipe = PRESETS.get(preset)
    if recipe is None:
        raise ImageError(f'no preset "{preset}"; there are {", ".join(sorted(PRESETS))}')
    default = SANDBOX_IMAGE if preset == "pause" else f"{preset}:latest"
    return _finish(name or default, recipe.config, recipe.fill, output)


def _finish(
    name: str, config: ImageConfig, fill: Callable[[Path, Path], None], output: Path | None
) -> Image:
    complete = full_name(name)
    target = output or Path(complete.rpartition("/")[2].replace(":", "-") + ".tar")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kubeinstall-image-") as folder:
        work = Path(folder)
        root = work / "root"
        root.mkdir(mode=0o755)
        fill(root, work)
        layer_file = work / "layer.tar"
        layer = write_layer(root, layer_file)
        document = config_document(config, debian.architecture(), layer)
        unfinished = target.with_name(target.name + ".part")
        digest = write_archive(complete, document, layer_file, layer, unfinished)
        unfinished.replace(target)
    return Image(complete, target, digest, target.stat().st_size)


def _copy(source: Path, root: Path, inside: str) -> None:
    target = root / inside.lstrip("/")
    if ".." in Path(inside).parts:
        raise ImageError(f"{inside} leaves the image")
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)
