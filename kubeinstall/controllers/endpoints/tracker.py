"""Remembers the slices written, so that a cache which has not seen them is not acted upon."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.client import Informer, key_of


class WriteTracker:
    """Per Service key: the resourceVersion that each slice must have reached in the cache."""

    def __init__(self, slices: Informer) -> None:
        self._slices = slices
        self._expected: dict[str, dict[str, int]] = {}
        slices.add_handler(self._seen)

    def wrote(self, service: str, written: Object) -> None:
        """A slice was created or updated."""
        version = int(written["metadata"].get("resourceVersion") or 0)
        cached = self._slices.get_key(key_of(written))
        if cached is not None and int(cached["metadata"].get("resourceVersion") or 0) >= version:
            # Its event was faster than its answer, or nothing changed and none will come.
            return
        self._expected.setdefault(service, {})[key_of(written)] = version

    def forget(self, service: str, gone: Object | None = None) -> None:
        """A slice was deleted, or with none given the Service is gone."""
        if gone is None:
            self._expected.pop(service, None)
        else:
            self._expected.get(service, {}).pop(key_of(gone), None)

    def current(self, service: str) -> bool:
        """True when the cache has seen everything that was written for the Service."""
        return not self._expected.get(service)

    def _seen(self, old: Object | None, new: Object | None) -> None:
        obj = new or old
        if obj is None:
            return
        key = key_of(obj)
        seen = int(obj["metadata"].get("resourceVersion") or 0)
        for service, expected in list(self._expected.items()):
            version = expected.get(key)
            if version is not None and (new is None or seen >= version):
                del expected[key]
            if not expected:
                del self._expected[service]
