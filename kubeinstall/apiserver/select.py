"""From the selectors of a request to a selection of the watch cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import orjson

from kubeinstall.api.selectors import (
    FieldSelector,
    LabelSelector,
    field_selector,
    selectable_fields,
)
from kubeinstall.apiserver.catalog import Served
from kubeinstall.storage.cache import ALL, Selection


def selection(
    served: Served, namespace: str, label_text: str, field_text: str, name: str = ""
) -> Selection:
    """What a list or watch wants to see. Raises `BadRequest` with the parser's message.

    `name` is that of a watch on a single object by path.
    """
    if not label_text and not field_text and not name:
        return _of_namespace(namespace)
    labels = LabelSelector.parse(label_text)
    resource = served.resource
    extra = resource.custom.selectable if resource.custom is not None else ()
    fields = field_selector(field_text, resource.group, resource.version, resource.kind, extra)
    return _build(namespace, name, labels, fields)


def widened(served: Served, wanted: Selection) -> tuple[Selection, Callable[[bytes], bool] | None]:
    """What to ask the watch cache for, and a test of what is shown that decides the rest (None: there is none).

    The cache sees objects as they are stored. Where a webhook converts them, only the converted object has
    the fields that the version lets readers select by.
    """
    resource, reading, fields = served.resource, served.reading, wanted.fields
    if reading is None or reading.at_once or fields is None:
        return wanted, None
    extra = resource.custom.selectable if resource.custom is not None else ()

    def matches(data: bytes) -> bool:
        return fields(selectable_fields(resource.group, resource.kind, orjson.loads(data), extra))

    return replace(wanted, fields=None, field_equals=()), matches


@lru_cache(maxsize=1024)
def _of_namespace(namespace: str) -> Selection:
    return Selection(namespace=namespace) if namespace else ALL


def _build(namespace: str, name: str, labels: LabelSelector, fields: FieldSelector) -> Selection:
    equalities = dict(fields.equalities)
    name = equalities.pop("metadata.name", "") or name
    if not namespace:
        namespace = equalities.pop("metadata.namespace", "")
    return Selection(
        namespace=namespace,
        name=name,
        labels=None if labels.empty else labels.matches,
        fields=None if fields.empty else fields.matches,
        label_equals=tuple(labels.equalities.items()),
        # A field that must be empty has no entry of its own in the index.
        field_equals=tuple((key, value) for key, value in equalities.items() if value),
    )
