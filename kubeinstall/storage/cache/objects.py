"""Objects as the cache holds them: encoded, with what selectors need taken out only when somebody asks.

The stored body is `{"metadata":{"name":…},…}`. `data` is the same with the resourceVersion spliced in, ready to go:

    stored   {"metadata":{"name":"a"},"data":{}}          at revision 7
    data     {"metadata":{"resourceVersion":"7","name":"a"},"data":{}}
    a GET    {"kind":"ConfigMap","apiVersion":"v1", + data without its first byte
    a LIST   … "items":[ + data + , + data + ]}

Behind the body of a custom object of several versions stand a line feed and the version it is stored in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import orjson

from kubeinstall.api.types import Object

BODY_START = b'{"metadata":{'
_START = len(BODY_START)
_BRACE = ord("}")
_FORMS = 4

#: Takes the selectable fields out of an object, e.g. {"metadata.name": …, "spec.nodeName": …}.
FieldsOf = Callable[[Object], Mapping[str, str]]


def splice(body: bytes, revision: int) -> bytes:
    """The stored body with its resourceVersion."""
    return b'{"metadata":{"resourceVersion":"%d",%b' % (revision, body[_START:])


def _body(data: bytes) -> bytes:
    return BODY_START + data[data.index(b",") + 1 :]


class CachedObject:
    """One object at one revision. Immutable but for what it remembers about itself."""

    __slots__ = (
        "_fields",
        "_fields_of",
        "_labels",
        "create_revision",
        "data",
        "forms",
        "key",
        "revision",
        "version",
    )

    def __init__(
        self, key: str, body: bytes, revision: int, create_revision: int, fields_of: FieldsOf
    ) -> None:
        self.key = key  # "namespace/name", or "name" where the resource has no namespaces
        #: The version that a custom object is stored in; "" where that is not noted.
        self.version = ""
        if body[-1] != _BRACE:
            body, _, version = body.rpartition(b"\n")
            self.version = version.decode()
        #: Other encodings of it, by who made them.
        self.forms: dict[Any, bytes] | None = None
        self.data = splice(body, revision)
        self.revision = revision
        self.create_revision = create_revision
        self._fields_of = fields_of
        self._labels: Mapping[str, str] | None = None
        self._fields: Mapping[str, str] | None = None

    @property
    def namespace(self) -> str:
        """The namespace, "" where there is none."""
        return self.key.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The object's name."""
        return self.key.rpartition("/")[2]

    @property
    def labels(self) -> Mapping[str, str]:
        """The object's labels."""
        if self._labels is None:
            self._learn()
        return cast("Mapping[str, str]", self._labels)

    @property
    def fields(self) -> Mapping[str, str]:
        """The object's selectable fields."""
        if self._fields is None:
            self._learn()
        return cast("Mapping[str, str]", self._fields)

    def object(self) -> dict[str, Any]:
        """A fresh, decoded copy without kind and apiVersion (custom resources carry theirs)."""
        return cast("dict[str, Any]", orjson.loads(self.data))

    def remember(self, maker: Any, data: bytes) -> None:
        """Note another encoding; only the newest few are kept."""
        if self.forms is None or len(self.forms) >= _FORMS:
            self.forms = {}
        self.forms[maker] = data

    def body(self) -> bytes:
        """The stored form again."""
        mark = b"\n" + self.version.encode() if self.version else b""
        return _body(self.data) + mark

    def at(self, revision: int) -> CachedObject:
        """The same content at another revision: what watchers are shown of a deleted object."""
        found = CachedObject(self.key, self.body(), revision, self.create_revision, self._fields_of)
        for maker, data in (self.forms or {}).items():
            found.remember(maker, splice(_body(data), revision))
        return found

    def _learn(self) -> None:
        decoded = self.object()
        self._labels = decoded["metadata"].get("labels") or {}
        self._fields = self._fields_of(decoded)
