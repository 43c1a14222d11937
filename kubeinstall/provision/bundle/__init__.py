"""Bundles: one file from which a host becomes a cluster without any network."""

from kubeinstall.provision.bundle.create import create_bundle
from kubeinstall.provision.bundle.manifest import BundleError, BundleManifest
from kubeinstall.provision.bundle.use import install_bundle, unpack_bundle

__all__ = ["BundleError", "BundleManifest", "create_bundle", "install_bundle", "unpack_bundle"]
