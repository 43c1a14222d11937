"""Serving custom resources: what apiextensions-apiserver does."""

from kubeinstall.apiserver.custom.definitions import CustomResources

__all__ = ["CustomResources"]
