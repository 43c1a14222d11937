"""The syntax tree. Macros stay what they are: `Loop` is one node, not a fold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kubeinstall.api.cel.types import DYN, Type


@dataclass(slots=True, eq=False)
class Node:
    """`pos` is the offset that messages point to; `type` is set by the checker."""

    pos: int
    type: Type = field(default=DYN, init=False)


@dataclass(slots=True, eq=False)
class Const(Node):
    """A literal."""

    value: Any


@dataclass(slots=True, eq=False)
class Ident(Node):
    """A variable or type name; the checker sets `slot`, or `value` for a type."""

    name: str
    slot: int = -1
    value: Any = None


@dataclass(slots=True, eq=False)
class Select(Node):
    """`operand.field`, `has(operand.field)` (`test`), `operand.?field` (`optional`)."""

    operand: Node
    name: str
    test: bool = False
    optional: bool = False
    #: A variable with a dot in its name ("authorizer.requestResource"), set by the checker.
    slot: int = -1


@dataclass(slots=True, eq=False)
class Call(Node):
    """A function, a member function (`target`), or an operator (`_+_`)."""

    name: str
    target: Node | None
    args: list[Node]

    @property
    def operands(self) -> list[Node]:
        """Target and arguments."""
        return self.args if self.target is None else [self.target, *self.args]


@dataclass(slots=True, eq=False)
class ListNode(Node):
    """`[a, ?b]`; `optional` are indexes of optional items."""

    items: list[Node]
    optional: set[int]


@dataclass(slots=True, eq=False)
class MapNode(Node):
    """`{k: v, ?k: v}`, or an object `Name{field: v}` with string constants as keys."""

    entries: list[tuple[Node, Node, bool]]
    name: str = ""


@dataclass(slots=True, eq=False)
class Loop(Node):
    """A macro over a range: all, exists, existsOne, filter, map, transformList, transformMap,
    transformMapEntry; optMap and optFlatMap loop over an optional."""

    macro: str
    range: Node
    names: tuple[str, ...]
    body: list[Node]
    slots: tuple[int, ...] = ()
    size: int = 1
