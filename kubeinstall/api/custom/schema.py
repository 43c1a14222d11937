"""The compiled form of one version of a CustomResourceDefinition."""

from __future__ import annotations

import functools
from typing import Any

from kubeinstall.api.custom import embedded
from kubeinstall.api.custom.defaulting import set_defaults
from kubeinstall.api.custom.pruning import prune
from kubeinstall.api.custom.ratcheting import ABSENT
from kubeinstall.api.custom.rules import Rules, has_rules
from kubeinstall.api.custom.validating import check
from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors
from kubeinstall.errors import FieldError

_ENVELOPE = ("apiVersion", "kind", "metadata")


def _has_defaults(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    inner = [schema.get("items"), schema.get("additionalProperties")]
    inner += (schema.get("properties") or {}).values()
    return "default" in schema or any(_has_defaults(one) for one in inner)


class CustomType:
    """How objects of a custom resource are read, defaulted, validated, printed and merged.

    `schema` is the version's `openAPIV3Schema`; None accepts and keeps everything.
    """

    def __init__(
        self, version: Object, *, preserve: bool = False, names: Object | None = None
    ) -> None:
        #: kind and apiVersion, which are not stored.
        self._names: Object = names or {}
        self.schema: Object | None = (version.get("schema") or {}).get("openAPIV3Schema")
        self.scale: Object | None = (version.get("subresources") or {}).get("scale")
        self.selectable: tuple[str, ...] = tuple(
            item["jsonPath"].removeprefix(".") for item in version.get("selectableFields") or []
        )
        self._columns: list[Object] | None = version.get("additionalPrinterColumns")
        self._preserve = preserve or self.schema is None

    def prune(self, obj: Object) -> list[str]:
        """Drop fields that the schema does not know, in place; their paths, in order."""
        if self._preserve or self.schema is None:
            return []
        dropped: list[str] = []
        prune(obj, self.schema, "", dropped, root=True)
        return dropped

    def coerce_embedded(self, obj: Object, read: embedded.ReadMetadata) -> tuple[list[str], str]:
        """Drop from the metadata of embedded objects, in place, what `read` does; paths, and what is wrong."""
        if self.schema is None or not self._embeds:
            return [], ""
        return embedded.coerce(obj, self.schema, read)

    @functools.cached_property
    def _embeds(self) -> bool:
        return embedded.has_embedded(self.schema)

    def default(self, obj: Object) -> None:
        """Set the schema's defaults, in place."""
        if self.schema is not None:
            set_defaults(obj, self.schema)

    @functools.cached_property
    def has_defaults(self) -> bool:
        """Whether anything in the schema has a default."""
        return self.schema is not None and _has_defaults(self.schema)

    def validate(self, obj: Object, old: Object | None = None) -> list[FieldError]:
        """What is wrong by the schema; apiVersion, kind and metadata are the server's to check."""
        if self.schema is None:
            return []
        errors = Errors()
        shown = {name: value for name, value in obj.items() if name not in _ENVELOPE}
        required = [name for name in self.schema.get("required") or [] if name not in _ENVELOPE]
        before: Any = ABSENT
        if old is not None:
            before = {name: value for name, value in old.items() if name not in _ENVELOPE}
        check(shown, {**self.schema, "required": required}, "", errors, before)
        if self._embeds:
            embedded.check(shown, self.schema, errors)
        if self.rules is not None:
            self.rules.check({**obj, **self._names}, old, errors)
        return errors

    @functools.cached_property
    def rules(self) -> Rules | None:
        """The schema's rules in CEL; None where there are none."""
        if self.schema is None or not has_rules(self.schema):
            return None
        return Rules(self.schema)

    @functools.cached_property
    def node(self) -> Any:
        """The `node` argument of `api.apply`: how fields merge and who owns them."""
        from kubeinstall.api.apply import custom

        return custom(self.schema)

    @functools.cached_property
    def columns(self) -> Any:
        """The `custom` argument of `api.table`: printer columns."""
        from kubeinstall.api.table import CustomColumns

        return CustomColumns(self._columns)
