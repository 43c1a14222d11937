"""The embedded driver."""

from kubeinstall.storage.sqlite.driver import SQLiteStore

__all__ = ["SQLiteStore"]
