"""Which form of an answer the client wants: media type, transformation, pretty-printing.

Two layers, as upstream's: the router (go-restful) refuses what no route produces with 406 and a
message of its own; the negotiation proper then takes the client's best clause that can be served.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from kubeinstall.errors import NotAcceptable

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
MEDIA_TYPES = (JSON, YAML, PROTOBUF)
STREAM_TYPES = (f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")

_META_GROUP = "meta.k8s.io"
_TRANSFORMS = {
    "Table": ("v1", "v1beta1"),
    "PartialObjectMetadata": ("v1", "v1beta1"),
    "PartialObjectMetadataList": ("v1", "v1beta1"),
}
_BROWSERS = ("curl", "Wget", "Mozilla/5.0")


@dataclass(frozen=True, slots=True)
class Output:
    """The form of an answer. `transform` is "", "Table", "PartialObjectMetadata" or its list, of
    `meta.k8s.io/<version>`."""

    media_type: str = JSON
    transform: str = ""
    version: str = "v1"
    pretty: bool = False

    @property
    def plain(self) -> bool:
        """Whether stored JSON can be sent as it is."""
        return self.media_type == JSON and not self.transform and not self.pretty


@dataclass(frozen=True, slots=True)
class _Clause:
    media_type: str
    parameters: tuple[tuple[str, str], ...]
    quality: float

    @property
    def specificity(self) -> int:
        if self.media_type == "*/*":
            return 0
        return 1 if self.media_type.endswith("/*") else 2


def negotiate(
    accept: str,
    pretty: str | None,
    user_agent: str,
    *,
    listing: bool = False,
    protobuf: bool = True,
    tables: bool = True,
) -> Output:
    """The answer's form. `pretty` is the query parameter; `listing`: the route also does watches;
    `protobuf`: the kind has such a form; `tables`: it can be shown as a Table.

    Raises `NotAcceptable` with the router's message.
    """
    output = _choose(accept, listing, protobuf, tables)
    wanted = pretty in ("1", "true") if pretty is not None else user_agent.startswith(_BROWSERS)
    if wanted and not output.pretty:
        return Output(output.media_type, output.transform, output.version, pretty=True)
    return output


@lru_cache(maxsize=256)
def _choose(accept: str, listing: bool, protobuf: bool, tables: bool) -> Output:
    types = MEDIA_TYPES if protobuf else MEDIA_TYPES[:2]
    if not _routable(accept):
        raise _not_acceptable(listing)
    for clause in _parse(accept):
        for media_type in types:
            if not _matches(clause.media_type, media_type):
                continue
            output = _with_parameters(media_type, clause.parameters)
            if output is not None and (tables or output.transform != "Table"):
                return output
    raise NotAcceptable("only the following media types are accepted: " + ", ".join(types))


def _routable(accept: str) -> bool:
    """The router's check: any clause, without its parameters, names a type or is `*/*`."""
    if not accept:
        return True
    names = {clause.partition(";")[0].strip() for clause in accept.split(",")}
    return "*/*" in names or not names.isdisjoint(MEDIA_TYPES)


def _not_acceptable(listing: bool) -> NotAcceptable:
    types = MEDIA_TYPES + STREAM_TYPES if listing else MEDIA_TYPES
    return NotAcceptable(
        f"406: Not Acceptable\n\nAvailable representations: {', '.join(types)}", details={}
    )


def _parse(accept: str) -> list[_Clause]:
    clauses = []
    for text in (accept or "*/*").split(","):
        media_type, *rest = (part.strip() for part in text.split(";"))
        parameters = []
        quality = 1.0
        for part in rest:
            key, _, value = part.partition("=")
            if key == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 1.0
            else:
                parameters.append((key.strip(), value.strip().strip('"')))
        clauses.append(_Clause(media_type, tuple(parameters), quality))
    clauses.sort(key=lambda clause: (-clause.quality, -clause.specificity))
    return clauses


def _matches(wanted: str, offered: str) -> bool:
    if wanted in ("*/*", offered):
        return True
    return wanted.endswith("/*") and offered.startswith(wanted[:-1])


def _with_parameters(media_type: str, parameters: tuple[tuple[str, str], ...]) -> Output | None:
    given = dict(parameters)
    if given.get("charset", "utf-8").lower() != "utf-8":
        return None
    transform = given.get("as", "")
    version = given.get("v", "")
    if transform:
        if given.get("g") != _META_GROUP or version not in _TRANSFORMS.get(transform, ()):
            return None
        if media_type == PROTOBUF and transform == "Table":
            return None
    return Output(media_type, transform, version or "v1", given.get("pretty") == "1")
