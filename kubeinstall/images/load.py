"""Importing images into containerd, where the kubelet's namespace sees them."""

from __future__ import annotations

from pathlib import Path

from kubeinstall.images.command import run

DEFAULT_SOCKET = Path("/run/containerd/containerd.sock")
NAMESPACE = "k8s.io"
"""containerd's namespace of the CRI plugin."""


def import_image(path: Path, socket: Path = DEFAULT_SOCKET) -> list[str]:
    """Import an image archive; the names of the images it held. Raises `ImageError`."""
    said = run(
        ["ctr", "--address", str(socket), "--namespace", NAMESPACE, "images", "import", str(path)]
    )
    return [line.split()[1] for line in said.splitlines() if line.startswith("unpacking ")]


def list_images(socket: Path = DEFAULT_SOCKET) -> set[str]:
    """The names of all images in the kubelet's namespace."""
    said = run(
        ["ctr", "--address", str(socket), "--namespace", NAMESPACE, "images", "list", "--quiet"]
    )
    return set(said.split())
