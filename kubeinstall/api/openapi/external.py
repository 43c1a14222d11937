"""OpenAPI of other servers, merged into ours."""

from __future__ import annotations

import copy
from typing import Any, Final, NamedTuple

_MAPS: Final = ("definitions", "parameters")
_KINDS: Final = "x-kubernetes-group-version-kind"


class ExternalOpenAPI(NamedTuple):
    """Of one group version: `name` is "apis/GROUP/VERSION", `swagger` the other server's v2 document (None: it
    has none), `v3_url` where its v3 document is ("": it has none)."""

    name: str
    swagger: dict[str, Any] | None
    v3_url: str
    etag: str = ""


def merge(document: dict[str, Any], other: dict[str, Any], below: str) -> None:
    """Add the paths of `other` at and below `below` to a v2 document, and what they refer to.

    A definition of a name that stands for something else in `document` gets the name with `_v2` (or the
    next number that is free) behind it, as upstream's. A path that is there already stays as it is.
    """
    paths = {
        path: item
        for path, item in (other.get("paths") or {}).items()
        if path == below or path.startswith(f"{below}/")
    }
    needed = _closure(paths, other)
    renamed: dict[str, str] = {}
    for kind, name in needed:
        ours = document.setdefault(kind, {})
        theirs = other[kind][name]
        new = name
        number = 2
        while new in ours and not _same(ours[new], theirs):
            new = f"{name}_v{number}"
            number += 1
        renamed[f"#/{kind}/{name}"] = f"#/{kind}/{new}"
    for kind, name in needed:
        new = renamed[f"#/{kind}/{name}"].rpartition("/")[2]
        document[kind].setdefault(new, _renamed(other[kind][name], renamed))
    for path, item in paths.items():
        document["paths"].setdefault(path, _renamed(item, renamed))
    for kind in ("paths", *_MAPS):
        document[kind] = dict(sorted(document.get(kind, {}).items()))


def _same(ours: Any, theirs: Any) -> bool:
    """Equal but for the kinds that both stand for: each server lists only those that it serves."""

    def bare(one: Any) -> Any:
        return {key: value for key, value in one.items() if key != _KINDS}

    return bool(bare(ours) == bare(theirs))


def _closure(paths: Any, other: dict[str, Any]) -> list[tuple[str, str]]:
    """(kind, name) of all that is referred to, directly or not."""
    found: dict[tuple[str, str], None] = {}
    left = [paths]
    while left:
        for reference in _references(left.pop()):
            _, kind, name = [*reference.split("/", 2), "", ""][:3]
            if kind in _MAPS and name in (other.get(kind) or {}) and (kind, name) not in found:
                found[kind, name] = None
                left.append(other[kind][name])
    return sorted(found)


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for one in value for found in _references(one)]
    if not isinstance(value, dict):
        return []
    found = [found for one in value.values() for found in _references(one)]
    reference = value.get("$ref")
    return [*found, reference] if isinstance(reference, str) else found


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(one, names) for one in value]
    if not isinstance(value, dict):
        return copy.copy(value)
    return {
        key: names.get(one, one) if key == "$ref" and isinstance(one, str) else _renamed(one, names)
        for key, one in value.items()
    }
