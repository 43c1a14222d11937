"""Revisioned key-value storage: the protocol, its drivers and the watch cache."""

from kubeinstall.storage.open import open_store
from kubeinstall.storage.store import KeyValue, Page, Store, StoreEvent, StoreWatch

__all__ = ["KeyValue", "Page", "Store", "StoreEvent", "StoreWatch", "open_store"]
