"""Small OCI images made from Debian packages or local files; no registry is needed."""

from kubeinstall.images.build import Image, build, build_preset
from kubeinstall.images.load import import_image, list_images
from kubeinstall.images.presets import PRESETS, SANDBOX_IMAGE

__all__ = [
    "PRESETS",
    "SANDBOX_IMAGE",
    "Image",
    "build",
    "build_preset",
    "import_image",
    "list_images",
]
