"""Collecting field errors with upstream's wording (`field.Error`).

    errors = Errors()
    errors.required("spec.containers")
    errors.invalid("spec.replicas", -1, "must be greater than or equal to 0")

Paths are built by the callers: `f"{path}.name"`, `f"{path}[{index}]"`, `f"{path}[{key}]"`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson

from kubeinstall.errors import FieldError


def quoted(text: str) -> str:
    """A string as Go's %q prints it."""
    return json.dumps(text, ensure_ascii=False)


def shown(value: Any) -> str:
    """A value as an error message shows it: scalars plainly, anything else as JSON."""
    if isinstance(value, str):
        return quoted(value)
    return orjson.dumps(value).decode()


class Errors(list[FieldError]):
    """A list of field errors that knows how to word new ones."""

    def required(self, path: str, detail: str = "") -> None:
        """A value must be there and is not."""
        self._add("FieldValueRequired", path, "Required value", detail)

    def invalid(self, path: str, value: Any, detail: str) -> None:
        """A value breaks a rule."""
        self._add("FieldValueInvalid", path, f"Invalid value: {shown(value)}", detail)

    def forbidden(self, path: str, detail: str) -> None:
        """A field may not be set here."""
        self._add("FieldValueForbidden", path, "Forbidden", detail)

    def not_supported(self, path: str, value: Any, supported: Iterable[str]) -> None:
        """A value is not one of the known ones."""
        known = ", ".join(quoted(item) for item in supported)
        detail = f"supported values: {known}" if known else ""
        self._add("FieldValueNotSupported", path, f"Unsupported value: {shown(value)}", detail)

    def duplicate(self, path: str, value: Any) -> None:
        """A value that must be unique is there twice."""
        self._add("FieldValueDuplicate", path, f"Duplicate value: {shown(value)}", "")

    def not_found(self, path: str, value: Any) -> None:
        """A reference leads nowhere."""
        self._add("FieldValueNotFound", path, f"Not found: {shown(value)}", "")

    def too_long(self, path: str, most: int) -> None:
        """A text has too many bytes."""
        self._add("FieldValueTooLong", path, "Too long", f"may not be more than {most} bytes")

    def too_many(self, path: str, count: int, most: int) -> None:
        """A list has too many items."""
        text = "must have at most 1 item" if most == 1 else f"must have at most {most} items"
        self._add("FieldValueTooMany", path, f"Too many: {count}", text)

    def one_of(self, path: str, value: Any, supported: Iterable[str]) -> None:
        """`not_supported` unless the value is one of `supported`."""
        known = list(supported)
        if value not in known:
            self.not_supported(path, value, known)

    def each(self, path: str, value: Any, details: Iterable[str]) -> None:
        """`invalid` for every detail that a format check returned."""
        for detail in details:
            self.invalid(path, value, detail)

    def not_negative(self, path: str, value: int | None) -> None:
        """`invalid` for a number below zero; None passes."""
        if value is not None and value < 0:
            self.invalid(path, value, "must be greater than or equal to 0")

    def immutable(self, path: str, new: Any, old: Any) -> None:
        """`invalid` when a field that may not change did."""
        if new != old:
            self.invalid(path, new, "field is immutable")

    def _add(self, kind: str, path: str, message: str, detail: str) -> None:
        self.append(FieldError(kind, path, f"{message}: {detail}" if detail else message))
