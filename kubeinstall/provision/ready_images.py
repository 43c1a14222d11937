"""Images made once on the controller, for hosts that would each make the same."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from kubeinstall.images import build_preset
from kubeinstall.images.errors import ImageError


def ready_images(names: Iterable[str], cache: Path | None = None) -> list[Path]:
    """Archives of the presets, made unless they are in the cache. Empty where this machine cannot make them (it is no
    Debian, or has no mirror): then hosts make their own."""
    folder = (
        cache
        or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kubeinstall/images"
    )
    found: list[Path] = []
    for name in names:
        path = folder / f"{name}.tar"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            building = folder / f".{name}.{os.getpid()}.tar"
            try:
                build_preset(name, output=building)
                building.replace(path)
            except (ImageError, OSError):
                return found
            finally:
                building.unlink(missing_ok=True)
        found.append(path)
    return found
