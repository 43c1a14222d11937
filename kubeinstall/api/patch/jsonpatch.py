"""RFC 6902 JSON patch, as the library that upstream uses applies it.

That library differs from the RFC in a few points kept here: negative list indexes count from the
end, a value that is not given is null, replacing or copying a key that a map does not have works
(only removing and moving one fails), and testing one compares with null.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

from kubeinstall.errors import RequestTooLarge, StatusError

MAX_OPERATIONS: Final = 10_000


class PatchFailed(StatusError):
    """An operation cannot be applied: upstream answers 422 with a fixed message."""

    code, reason = 422, "Invalid"

    def __init__(self, why: str) -> None:
        super().__init__(
            "the server rejected our request due to an error in our request", details={}
        )
        #: What failed, for logs; upstream does not send it.
        self.why = why


def json_patch(doc: Any, operations: list[dict[str, Any]]) -> Any:
    """`doc` with every operation applied in order.

    Raises PatchFailed (422) when one cannot be applied, RequestTooLarge over 10,000 operations.
    """
    if len(operations) > MAX_OPERATIONS:
        raise RequestTooLarge(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, "
            f"got {len(operations)}"
        )
    holder = {"doc": copy.deepcopy(doc)}
    for operation in operations:
        apply = _OPERATIONS.get(operation.get("op", ""))
        if apply is None:
            raise PatchFailed(f"unexpected kind: {operation.get('op')}")
        apply(holder, operation)
    return holder["doc"]


def _path(operation: dict[str, Any], key: str = "path") -> list[str]:
    pointer = operation.get(key)
    if not isinstance(pointer, str):
        raise PatchFailed(f"operation has no {key}")
    if pointer and not pointer.startswith("/"):
        raise PatchFailed(f"not a JSON pointer: {pointer}")
    parts = pointer.split("/")[1:]
    return ["doc", *(part.replace("~1", "/").replace("~0", "~") for part in parts)]


def _value(operation: dict[str, Any]) -> Any:
    return copy.deepcopy(operation.get("value"))


def _container(holder: Any, path: list[str]) -> Any:
    current = holder
    for part in path[:-1]:
        current = _get(current, part)
    if not isinstance(current, (dict, list)):
        raise PatchFailed(f"no container at {path[1:]}")
    return current


def _index(part: str, size: int) -> int:
    try:
        index = int(part)
    except ValueError:
        raise PatchFailed(f"not a list index: {part}") from None
    if index < 0:
        index += size
    if not 0 <= index < size:
        raise PatchFailed(f"index out of bounds: {part}")
    return index


def _get(container: Any, part: str) -> Any:
    if isinstance(container, dict):
        if part not in container:
            raise PatchFailed(f"no such key: {part}")
        return container[part]
    if isinstance(container, list):
        return container[_index(part, len(container))]
    raise PatchFailed(f"nothing below a scalar: {part}")


def _get_or_null(container: Any, part: str) -> Any:
    return container.get(part) if isinstance(container, dict) else _get(container, part)


def _put(container: Any, part: str, value: Any) -> None:
    if isinstance(container, dict):
        container[part] = value
    elif part == "-":
        container.append(value)
    else:
        # One past the end is allowed: it appends.
        container.insert(_index(part, len(container) + 1), value)


def _drop(container: Any, part: str) -> None:
    _get(container, part)
    del container[part if isinstance(container, dict) else _index(part, len(container))]


def _add(holder: Any, operation: dict[str, Any]) -> None:
    path = _path(operation)
    _put(_container(holder, path), path[-1], _value(operation))


def _remove(holder: Any, operation: dict[str, Any]) -> None:
    path = _path(operation)
    _drop(_container(holder, path), path[-1])


def _replace(holder: Any, operation: dict[str, Any]) -> None:
    path = _path(operation)
    container = _container(holder, path)
    key = path[-1] if isinstance(container, dict) else _index(path[-1], len(container))
    container[key] = _value(operation)


def _move(holder: Any, operation: dict[str, Any]) -> None:
    source, path = _path(operation, "from"), _path(operation)
    container = _container(holder, source)
    value = _get(container, source[-1])
    _drop(container, source[-1])
    _put(_container(holder, path), path[-1], value)


def _copy(holder: Any, operation: dict[str, Any]) -> None:
    source, path = _path(operation, "from"), _path(operation)
    value = copy.deepcopy(_get_or_null(_container(holder, source), source[-1]))
    _put(_container(holder, path), path[-1], value)


def _test(holder: Any, operation: dict[str, Any]) -> None:
    path = _path(operation)
    container = _container(holder, path)
    if _get_or_null(container, path[-1]) != operation.get("value"):
        raise PatchFailed(f"testing value {operation['path']} failed")


_OPERATIONS: Final[dict[str, Callable[[Any, dict[str, Any]], None]]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
