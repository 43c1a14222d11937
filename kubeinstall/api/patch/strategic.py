"""Strategic merge patch: merge patch that knows which lists are maps by a key.

Follows upstream's `strategicpatch`: directives `$patch: replace|delete`, `$retainKeys`,
`$deleteFromPrimitiveList/<field>` and `$setElementOrder/<field>`; the order of a merged list is the
patch's, with items that only the server has interleaved where they stood.
"""

from __future__ import annotations

from typing import Any, Final

from kubeinstall.api.apply import model
from kubeinstall.api.apply.model import TypeNode
from kubeinstall.api.patch.order import enforce_order, set_order
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.errors import BadRequest, StatusError, UnsupportedMediaType

DIRECTIVE: Final = "$patch"
RETAIN_KEYS: Final = "$retainKeys"
DELETE_PREFIX: Final = "$deleteFromPrimitiveList/"
ORDER_PREFIX: Final = "$setElementOrder/"


class StrategicPatchError(StatusError):
    """The patch does not fit the type; upstream sends these without a reason."""

    code, reason = 500, ""


def strategic_merge_patch(resource: Resource, doc: Object, patch: Object, kind: str = "") -> Object:
    """`doc` with `patch` merged by the type data of `resource` (`kind`: of a subresource).

    Raises UnsupportedMediaType (415) for kinds without type data, BadRequest (400) for malformed
    directives, StrategicPatchError (500, as upstream) when a list item lacks its merge key.
    """
    node = model.builtin(resource.group, resource.version, kind or resource.kind)
    if node is None or not resource.builtin:
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
        )
    return merge_by_type(node, doc, patch)


def merge_by_type(node: TypeNode | None, original: Any, patch: Object) -> Object:
    """Merge maps: neither argument is changed, unchanged parts are shared with `original`."""
    directive = patch.get(DIRECTIVE)
    if directive is not None:
        if directive == "replace":
            return {key: value for key, value in patch.items() if key != DIRECTIVE}
        if directive == "delete":
            return {}
        raise BadRequest(f"unknown patch type found: {directive}")
    merged: Object = dict(original) if isinstance(original, dict) else {}
    rest = _retain_keys(merged, dict(patch))
    _merge_ordered(node, merged, rest)
    for key, value in rest.items():
        _merge_field(node, merged, key, value)
    return merged


def _retain_keys(merged: Object, patch: Object) -> Object:
    """Drop from `merged` what `$retainKeys` does not name; the patch without the directive."""
    retained = patch.pop(RETAIN_KEYS, None)
    if retained is None:
        return patch
    named = [key for key in patch if not key.startswith((DELETE_PREFIX, ORDER_PREFIX))]
    if not isinstance(retained, list) or any(key not in retained for key in named):
        raise BadRequest("invalid patch format of retainKeys")
    for key in [key for key in merged if key not in retained]:
        del merged[key]
    return patch


def _merge_ordered(node: TypeNode | None, merged: Object, patch: Object) -> None:
    """Handle `$setElementOrder/<field>` together with the field's own patch; both leave `patch`."""
    for directive in [key for key in patch if key.startswith(ORDER_PREFIX)]:
        order = patch.pop(directive)
        field = directive[len(ORDER_PREFIX) :]
        original, change = merged.get(field), patch.get(field)
        for value in (order, original, change):
            if value is not None and not isinstance(value, list):
                raise BadRequest("invalid patch format of setElementOrder list")
        child = _child(node, field)
        if original is None and change is None:
            continue
        key = child.merge_key if child is not None else ""
        set_order(change or [], order, key, field)
        if original is None:
            result = fresh(change)
        elif change is None:
            result = original
        else:
            result = _merge_list(child, original, change)
            original = _as_left_by_merge(original, change, key)
        merged[field] = enforce_order(result, order, original or [], key)
        patch.pop(field, None)


def _as_left_by_merge(original: list[Any], change: list[Any], key: str) -> list[Any]:
    """The old list as upstream looks at it once merged: it merges in place.

    Items that are deleted make room for added ones, so that those count as known to the server.
    """
    deleted = [each.get(key) for each in change if _directed(each)] if key else []
    if not deleted:
        return original
    kept = [each for each in original if each.get(key) not in deleted]
    known = [each.get(key) for each in kept]
    added = [each for each in change if not _directed(each) and each.get(key) not in known]
    return (kept + added)[: len(original)]


def _merge_field(node: TypeNode | None, merged: Object, key: str, value: Any) -> None:
    if key.startswith(DELETE_PREFIX):
        field = key[len(DELETE_PREFIX) :]
        if not isinstance(value, list):
            raise BadRequest("invalid patch format of primitive list")
        if isinstance(merged.get(field), list):
            merged[field] = [item for item in merged[field] if item not in value]
        return
    if value is None:
        merged.pop(key, None)
        return
    current = merged.get(key)
    if isinstance(current, dict) and isinstance(value, dict):
        child = _child(node, key)
        if child is not None and "replace" in child.strategies:
            merged[key] = value
        else:
            merged[key] = merge_by_type(child, current, value)
    elif isinstance(current, list) and isinstance(value, list):
        merged[key] = _merge_list(_child(node, key), current, value)
    elif _directed(value):
        merged.pop(key, None)
    else:
        merged[key] = fresh(value)


def _child(node: TypeNode | None, key: str) -> TypeNode | None:
    return node.child(key) if node is not None else None


def _merge_list(node: TypeNode | None, original: list[Any], patch: list[Any]) -> list[Any]:
    if node is None or "merge" not in node.strategies:
        return patch
    if not original and not patch:
        return original
    sample = (original or patch)[0]
    if not isinstance(sample, dict):
        merged: list[Any] = []
        for item in [*original, *patch]:
            if item not in merged:
                merged.append(item)
        return enforce_order(merged, patch, original, "")
    key = node.merge_key
    if not key:
        raise StrategicPatchError("cannot merge lists without merge key")
    kept, changes = _special_items(original, patch, key)
    merged = list(kept)
    for change in changes:
        merge_value = _key_of(change, key)
        at = next((i for i, item in enumerate(merged) if item.get(key) == merge_value), None)
        if at is None:
            merged.append(change)
        else:
            merged[at] = merge_by_type(node.element, merged[at], change)
    return enforce_order(merged, changes, kept, key)


def _special_items(original: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """Obey `$patch` items: what stays of the original, and the patch without them."""
    changes: list[Any] = []
    replace = False
    for item in patch:
        if not isinstance(item, dict):
            raise StrategicPatchError("invalid type in patch list: want a map")
        directive = item.get(DIRECTIVE)
        if directive is None:
            changes.append(item)
        elif directive == "delete":
            merge_value = _key_of(item, key)
            original = [each for each in original if each.get(key) != merge_value]
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise StrategicPatchError("merging lists cannot yet be specified in the patch")
        else:
            raise BadRequest(f"unknown patch type found: {directive}")
    return (changes, []) if replace else (original, changes)


def _key_of(item: Object, key: str) -> Any:
    if key not in item:
        shown = "map[" + " ".join(f"{k}:{item[k]}" for k in sorted(item)) + "]"
        raise StrategicPatchError(f"map: {shown} does not contain declared merge key: {key}")
    return item[key]


def fresh(value: Any) -> Any:
    """A patch value where nothing was before: no nulls, and nothing that carries `$patch`.

    Other directives stay, as they do upstream: decoding drops them, or refuses them if strict.
    """
    if isinstance(value, dict):
        return {
            key: fresh(each)
            for key, each in value.items()
            if each is not None and not _directed(each)
        }
    if isinstance(value, list):
        return [fresh(each) for each in value if not _directed(each)]
    return value


def _directed(value: Any) -> bool:
    return isinstance(value, dict) and DIRECTIVE in value
