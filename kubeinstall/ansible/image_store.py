"""Having the images in containerd that a cluster without a registry needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kubeinstall.ansible import paths
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.packages import ensure_lists
from kubeinstall.images import PRESETS, SANDBOX_IMAGE, build_preset, import_image, list_images
from kubeinstall.images.build import full_name

ARCHIVES = paths.STATE / "images"


def image_name(preset: str) -> str:
    """The full name under which a preset is imported."""
    return full_name(SANDBOX_IMAGE if preset == "pause" else f"{preset}:latest")


def ensure_images(presets: Sequence[str], *, check: bool) -> Outcome:
    """Build and import what containerd does not hold yet. Archives are kept for the next time."""
    outcome = Outcome()
    socket = Path("/run/containerd/containerd.sock")
    if check and not socket.exists():
        return Outcome(changes=[f"import image {image_name(preset)}" for preset in presets])
    present = list_images()
    for preset in presets:
        if preset not in PRESETS:
            known = ", ".join(sorted(PRESETS))
            raise ValueError(f"there is no image preset {preset!r}; there are {known}")
        if image_name(preset) in present:
            continue
        archive = ARCHIVES / f"{preset}.tar"
        if not archive.exists():
            outcome.add(f"build image {preset}")
            if not check:
                ensure_lists()  # images are made of Debian's packages
                build_preset(preset, output=archive)
        outcome.add(f"import image {image_name(preset)}")
        if not check:
            import_image(archive)
    return outcome
