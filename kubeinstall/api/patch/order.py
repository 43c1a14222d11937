"""The order of merged lists, as upstream's `normalizeElementOrder` gives it."""

from __future__ import annotations

from typing import Any

from kubeinstall.errors import StatusError


def _identity(item: Any, key: str) -> Any:
    return item.get(key) if key and isinstance(item, dict) else item


def enforce_order(
    merged: list[Any], order: list[Any], server_order: list[Any], key: str
) -> list[Any]:
    """`merged` with the items of `order` in that order, the server's own ones interleaved.

    `key` identifies items that are maps; empty for scalars.
    """
    wanted = [_identity(item, key) for item in order]
    server = [_identity(item, key) for item in server_order]
    patched = [item for item in merged if _identity(item, key) in wanted]
    own = [item for item in merged if _identity(item, key) not in wanted]
    patched.sort(key=lambda item: wanted.index(_identity(item, key)))
    own.sort(key=lambda item: _position(server, _identity(item, key)))
    return _interleave(own, patched, server, key)


def _position(values: list[Any], value: Any) -> int:
    return values.index(value) if value in values else -1


def _interleave(left: list[Any], right: list[Any], server: list[Any], key: str) -> list[Any]:
    """Insert `left` into `right`: before the first item that the server had after it."""
    result: list[Any] = []
    i = j = 0
    while i < len(left) and j < len(right):
        a = _position(server, _identity(left[i], key))
        b = _position(server, _identity(right[j], key))
        if 0 <= a < b:
            result.append(left[i])
            i += 1
        else:
            result.append(right[j])
            j += 1
    return result + left[i:] + right[j:]


def set_order(patch: list[Any], order: list[Any], key: str, field: str) -> None:
    """Check that the patch list follows its `$setElementOrder` list.

    Raises StatusError (500 without a reason, as upstream) when it does not.
    """
    wanted = [_identity(item, key) for item in order]
    position = 0
    for item in patch:
        if isinstance(item, dict) and item.get("$patch") == "delete":
            continue
        identity = _identity(item, key)
        while position < len(wanted) and wanted[position] != identity:
            position += 1
        if position == len(wanted):
            raise StatusError(
                f"The order in patch list:\n{patch}\n doesn't match $setElementOrder/{field} "
                f"list:\n{order}\n",
                code=500,
                reason="",
            )
        position += 1
