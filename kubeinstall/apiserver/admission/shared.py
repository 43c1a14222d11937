"""Objects that plug-ins look up on every write, kept at hand without copying."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.apiserver.registry import Registry

_EMPTY: Mapping[str, Object] = MappingProxyType({})


class Shared:
    """The current objects of a resource, by namespace and name. Not to be changed.

    `keep` says what of an object is worth memory, where there may be many or large ones.
    """

    def __init__(
        self, registry: Registry, resource: Resource, keep: Callable[[Object], Object] | None = None
    ) -> None:
        self._keep = keep
        self._by_namespace: dict[str, dict[str, Object]] = {}
        registry.observe(resource, self._changed)

    def get(self, name: str, namespace: str = "") -> Object | None:
        """The object, or None."""
        return self._by_namespace.get(namespace, _EMPTY).get(name)

    def within(self, namespace: str = "") -> Mapping[str, Object]:
        """Objects of a namespace ("" for cluster-wide resources) by name."""
        return self._by_namespace.get(namespace, _EMPTY)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        metadata = (new or old or {})["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        if new is not None:
            kept = new if self._keep is None else self._keep(new)
            self._by_namespace.setdefault(namespace, {})[name] = kept
            return
        objects = self._by_namespace.get(namespace)
        if objects is not None:
            objects.pop(name, None)
            if not objects:
                del self._by_namespace[namespace]
