"""Types that the expressions of a MutatingAdmissionPolicy make: `Object`, `Object.spec`, …, and `JSONPatch`."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from kubeinstall.api.cel import types as t
from kubeinstall.api.cel.ast import Call, Const, ListNode, Loop, MapNode, Node, Select
from kubeinstall.api.cel.errors import CompileError, EvalError, Issue
from kubeinstall.api.cel.functions import FUNCTIONS, Function, Signature
from kubeinstall.api.cel.values import Optional

OBJECT, JSON_PATCH = "Object", "JSONPatch"
_PATCH_TYPE = t.Type(
    JSON_PATCH, (), {"op": t.STRING, "path": t.STRING, "from": t.STRING, "value": t.DYN}
)
#: What an expression of each kind of mutation must come to.
_ANY: Mapping[str, t.Type] = {}  # one and the same: types with it are equal
APPLY_TYPE, PATCH_TYPE = t.Type(OBJECT, (), _ANY), t.list_of(_PATCH_TYPE)


class Types(Mapping[str, t.Type]):
    """Every name that begins with `Object`, and `JSONPatch`. Fields of objects are not checked here: upstream
    merges by the schema, which then says what is unknown."""

    def __getitem__(self, name: str) -> t.Type:
        if name == JSON_PATCH:
            return _PATCH_TYPE
        if name == OBJECT or name.startswith(f"{OBJECT}."):
            return t.Type(name, (), _ANY)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter((OBJECT, JSON_PATCH))

    def __len__(self) -> int:
        return 2


TYPES = Types()


def check_names(source: str, node: Node, path: str = "") -> None:
    """See that types stand where their name says: `Object.spec` only in the field `spec` of `Object`.

    Raises `CompileError`.
    """
    if isinstance(node, MapNode) and node.name.partition(".")[0] == OBJECT:
        if path and node.name != path:
            text = (
                f'unexpected type name "{node.name}", expected "{path}", which matches field name'
                " path from root Object type"
            )
            raise CompileError(source, [Issue(node.pos, text)])
        for key, value, _ in node.entries:
            name = key.value if isinstance(key, Const) else ""
            check_names(source, value, f"{node.name}.{name}")
        return
    for below in _children(node):
        # Lists keep their field's path; anything else begins a path of its own.
        check_names(source, below, path if isinstance(node, ListNode | Loop | Call) else "")


def _children(node: Node) -> list[Node]:
    if isinstance(node, ListNode):
        return node.items
    if isinstance(node, MapNode):
        return [value for _, value, _ in node.entries]
    if isinstance(node, Loop):
        return [node.body[-1]]
    if isinstance(node, Call):
        return node.args[1:] if node.name == "_?_:_" else []
    if isinstance(node, Select):
        return []
    return []


def to_json(value: Any) -> Any:
    """A value of an expression as JSON has it. Raises `EvalError` for what has no such form."""
    if isinstance(value, dict):
        return {str(key): to_json(one) for key, one in value.items()}
    if isinstance(value, list):
        return [to_json(one) for one in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Optional):
        if not value.present:
            return None
        return to_json(value.value)
    if value is None or isinstance(value, bool | str | float):
        return value
    if isinstance(value, int):
        return int(value)
    if hasattr(value, "nanos"):
        return str(value)
    raise EvalError(f"unsupported type {type(value).__name__}")


def _escape_key(key: str) -> str:
    """A member's name as a part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


FUNCTIONS["jsonpatch.escapeKey"] = Function([Signature(False, (t.STRING,), t.STRING)], _escape_key)
