"""What several kinds share: quantities rounded to thousandths, and the defaulting table's tools."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object

_MILLI = 10**6


def each(obj: Object, name: str) -> Iterable[Object]:
    """The members of a list field that may be missing or null."""
    return obj.get(name) or ()


def part(obj: Object, name: str) -> Object:
    """A struct field as a dict; an empty one is put in place of a missing or null one."""
    value = obj.get(name)
    if value is None:
        value = obj[name] = {}
    found: Object = value
    return found


def fill(obj: Object, values: dict[str, Any]) -> None:
    """Set scalars that are missing; for pointers, where a given zero stays."""
    for name, value in values.items():
        if name not in obj:
            obj[name] = value


def fill_empty(obj: Object, values: dict[str, Any]) -> None:
    """Set scalars that are missing or empty; for plain values."""
    for name, value in values.items():
        if not obj.get(name):
            obj[name] = value


def round_resources(resources: Object | None) -> None:
    """Round the quantities of a resource list up to thousandths, as upstream does on every read."""
    if not resources:
        return
    for name, text in resources.items():
        # Canonical texts finer than a thousandth end in n or u, or have an exponent.
        if type(text) is str and (text[-1:] in ("n", "u") or "e-" in text):
            parsed = Quantity.parse(text)
            resources[name] = str(Quantity(-(-parsed.nano // _MILLI) * _MILLI, parsed.format))
