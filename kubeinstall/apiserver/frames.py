"""Watch events as bytes: each is encoded once per form, whatever the number of watchers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from kubeinstall.api.types import Object
from kubeinstall.apiserver import wire
from kubeinstall.apiserver.catalog import Served
from kubeinstall.apiserver.negotiate import JSON, PROTOBUF, YAML, Output
from kubeinstall.errors import NotAcceptable
from kubeinstall.storage.cache import CachedObject, WatchEvent

Encode = Callable[[WatchEvent], bytes]


def chunk(data: bytes) -> bytes:
    """Framed as a chunk of HTTP/1.1."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class FrameEncoder:
    """Encodes events of one resource in one form.

    `variants` maps an event type to the key under which an event remembers the frame, and to the
    function that makes it; `later` does for all events of a watch but its first, which alone says
    what the columns of a Table are.
    """

    def __init__(self, served: Served, output: Output, include: str = "") -> None:
        if output.media_type == YAML:
            raise NotAcceptable(
                f"only the following media types are accepted: {JSON};stream=watch,"
                f" {PROTOBUF};stream=watch",
                details={},
            )
        self._served = served
        self._output = output
        self._include = include
        self._plain = served.same and output.media_type == JSON and not output.transform
        resource = served.resource
        form = (
            resource.group,
            resource.version,
            output.media_type,
            output.transform,
            output.version,
            include,
        )
        kinds = ("ADDED", "MODIFIED", "DELETED")
        self.variants: dict[str, tuple[object, Encode]] = {
            kind: ((kind, *form), self._maker(kind, first=True)) for kind in kinds
        }
        self.later = self.variants
        if output.transform == "Table":
            self.later = {
                kind: ((kind, *form, "later"), self._maker(kind, first=False)) for kind in kinds
            }

    @property
    def content_type(self) -> str:
        """Of the stream."""
        media_type = self._output.media_type
        return media_type if media_type == JSON else f"{media_type};stream=watch"

    def item(self, item: CachedObject, *, first: bool) -> bytes:
        """An object that was there before: ADDED."""
        return self._event(b"ADDED", item, first=first)

    def bookmark(self, revision: int, *, initial_end: bool = False) -> bytes:
        """A BOOKMARK; `initial_end` marks the end of the initial events."""
        metadata: Object = {"resourceVersion": str(revision)}
        if initial_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        resource = self._served.resource
        obj: Object = {
            "kind": resource.kind,
            "apiVersion": resource.api_version,
            "metadata": {"creationTimestamp": None, **metadata},
        }
        return self._wrap("BOOKMARK", wire.transform(self._served, obj, self._output))

    def error(self, status: Object) -> bytes:
        """An ERROR event: the stream ends after it."""
        return self._wrap("ERROR", status)

    def _maker(self, kind: str, *, first: bool) -> Encode:
        name = kind.encode()
        if kind == "DELETED":

            def deleted(event: WatchEvent) -> bytes:
                item = event.current
                if not event.deleted and event.previous is not None:
                    # It only ceased to match: shown as it was, at the revision of the change.
                    item = event.previous.at(event.revision)
                return chunk(self._event(name, item, first=first))

            return deleted
        return lambda event: chunk(self._event(name, event.current, first=first))

    def _event(self, name: bytes, item: CachedObject, *, first: bool) -> bytes:
        data = wire.data_of(self._served, item)
        if self._plain:
            return b'{"type":"%b","object":%b%b}\n' % (name, self._served.head, data[1:])
        obj = wire.decode(self._served, data)
        shown = wire.transform(
            self._served, obj, self._output, include=self._include, columns=first
        )
        return self._wrap(name.decode(), shown)

    def _wrap(self, kind: str, obj: Any) -> bytes:
        if self._output.media_type == JSON:
            return orjson.dumps({"type": kind, "object": obj}) + b"\n"
        from kubeinstall.api import protobuf

        return protobuf.watch_frame(kind, protobuf.encode(obj))
