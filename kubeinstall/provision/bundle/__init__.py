"""Bundles: one file from which a host becomes a cluster without any network."""

from kubeinstall.provision.bundle.create import create_bundle
from kubeinstall.provision.bundle.manifest import BundleError, BundleManifest
from kubeinstall.provision.bundle.opened import OpenedBundle, open_bundle
from kubeinstall.provision.bundle.use import install_bundle, unpack_bundle

__all__ = [
    "BundleError",
    "BundleManifest",
    "OpenedBundle",
    "create_bundle",
    "install_bundle",
    "open_bundle",
    "unpack_bundle",
]
