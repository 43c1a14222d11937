"""Columns of CustomResources: `additionalPrinterColumns` of their definition."""

from __future__ import annotations

import json
from typing import Any

from kubeinstall.api.table.cells import Cells, name_of
from kubeinstall.api.table.columns import Column, metadata_docs
from kubeinstall.api.table.durations import since
from kubeinstall.api.table.jsonpath import JSONPathError, find
from kubeinstall.api.types import Object


class CustomColumns:
    """The printer of one version of a CustomResource; make it once per definition."""

    def __init__(self, printer_columns: list[dict[str, Any]] | None) -> None:
        """`printer_columns` are the definition's; none of them means only an age is shown."""
        docs = metadata_docs()
        age = {
            "name": "Age",
            "type": "date",
            "description": docs["creationTimestamp"],
            "jsonPath": ".metadata.creationTimestamp",
        }
        self._columns = printer_columns or [age]
        self.definitions: list[Column] = [
            {
                "name": "Name",
                "type": "string",
                "format": "name",
                "description": docs["name"],
                "priority": 0,
            }
        ]
        for column in self._columns:
            self.definitions.append(
                {
                    "name": column["name"],
                    "type": column["type"],
                    "format": column.get("format", ""),
                    "description": column.get("description")
                    or f"Custom resource definition column (in JSONPath format): {column['jsonPath']}",
                    "priority": column.get("priority", 0),
                }
            )

    def cells(self, obj: Object, now: float) -> Cells:
        """The row of an object: a cell is null where the path finds nothing."""
        return [name_of(obj), *(_cell(column, obj, now) for column in self._columns)]


def _cell(column: dict[str, Any], obj: Object, now: float) -> Any:
    try:
        found = find(column["jsonPath"], obj)
    except JSONPathError:
        return None
    if not found or found[0] is None:
        return None
    value, kind = found[0], column["type"]
    if kind == "string":
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    if kind == "date":
        # Upstream shows what is no time as it is not known.
        return since(value, now) if isinstance(value, str) else None
    return _scalar(value, kind)


def _scalar(value: Any, kind: str) -> Any:
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if kind == "integer" else float(value)
