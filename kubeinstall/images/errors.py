"""What can go wrong while an image is made or imported."""

from __future__ import annotations

from kubeinstall.errors import KubeinstallError


class ImageError(KubeinstallError):
    """An image could not be made or imported; the message says which step and what the tool said."""
