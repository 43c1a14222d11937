"""Stored objects as they go over the wire.

    stored + revision   {"metadata":{"resourceVersion":"7","name":"a"},"data":{}}      (CachedObject.data)
    answer              {"kind":"ConfigMap","apiVersion":"v1","metadata":{…},"data":{}}

Plain JSON in the stored version is a splice of bytes; every other form decodes once.
"""

from __future__ import annotations

from typing import Any, Protocol

import orjson

from kubeinstall.api import table
from kubeinstall.api.types import Object
from kubeinstall.apiserver.catalog import Served
from kubeinstall.apiserver.negotiate import Output
from kubeinstall.errors import NotAcceptable
from kubeinstall.storage.cache import CachedObject

META = "meta.k8s.io/"


class Encoded(Protocol):
    """Anything that holds `data` as the watch cache does."""

    data: bytes


def data_of(served: Served, item: CachedObject) -> bytes:
    """An object's encoding in the served version.

    Of a custom resource with a conversion webhook only what `served.reading` has read before is
    converted: this cannot ask. Who must have it right reads first.
    """
    if served.reading is None:
        return item.data
    return served.reading.known(item) or item.data


def plain(served: Served, data: bytes) -> bytes:
    """A single object in plain JSON; only where `served.same`."""
    return b"".join((served.head, data[1:], b"\n"))


def decode(served: Served, data: bytes) -> Object:
    """The object in the served version, `kind` and `apiVersion` first."""
    obj: Object = orjson.loads(data)
    return from_storage(served, obj)


def from_storage(served: Served, obj: Object) -> Object:
    """An object of the storage version, in the served version and with its names."""
    resource = served.resource
    if not served.same:
        from kubeinstall.api import conversion

        obj = conversion.convert(obj, served.storage, resource)
    obj.pop("kind", None)
    obj.pop("apiVersion", None)
    return {"kind": resource.kind, "apiVersion": resource.api_version, **obj}


def to_storage(served: Served, obj: Object) -> Object:
    """An object of the served version, in the storage version."""
    if served.same:
        return obj
    from kubeinstall.api import conversion

    return conversion.convert(obj, served.resource, served.storage)


def transform(
    served: Served, obj: Object, output: Output, *, include: str = "", columns: bool = True
) -> Object:
    """A single object as `output` wants it. `include` is the Table option `includeObject`,
    `columns` whether a Table says what its columns are."""
    if not output.transform:
        return obj
    if output.transform == "PartialObjectMetadata":
        return table.partial(obj, META + output.version)
    if output.transform == "Table":
        return tabulate(served, [obj], output, obj["metadata"], include, columns=columns)
    raise NotAcceptable(f"no {output.transform} of a single object", details={})


def tabulate(
    served: Served,
    items: list[Object],
    output: Output,
    metadata: dict[str, Any],
    include: str,
    *,
    columns: bool = True,
) -> Object:
    """A `Table`; `metadata` gives its resourceVersion, and continue where it has one."""
    kept = ("resourceVersion", "continue", "remainingItemCount")
    return table.table(
        served.resource,
        items,
        list_metadata={key: metadata[key] for key in kept if key in metadata},
        include=include or "Metadata",
        headers=columns,
        api_version=META + output.version,
    )
