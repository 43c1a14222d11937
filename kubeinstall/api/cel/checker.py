"""Static types of a tree, with cel-go's messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kubeinstall.api.cel import types as t
from kubeinstall.api.cel.ast import Call, Const, Ident, ListNode, Loop, MapNode, Node, Select
from kubeinstall.api.cel.errors import CompileError, EvalError, Issue
from kubeinstall.api.cel.functions import FUNCTIONS, Signature
from kubeinstall.api.cel.types import Bindings, Type, assignable, substitute
from kubeinstall.api.cel.values import TypeValue, parse_duration, parse_timestamp
from kubeinstall.api.regex import RegexError, regex

_TYPES = {
    "int": t.INT,
    "uint": t.UINT,
    "double": t.DOUBLE,
    "bool": t.BOOL,
    "string": t.STRING,
    "bytes": t.BYTES,
    "list": t.list_of(t.DYN),
    "map": t.map_of(t.DYN, t.DYN),
    "null_type": t.NULL,
    "type": t.type_of(t.DYN),
    "google.protobuf.Timestamp": t.TIMESTAMP,
    "google.protobuf.Duration": t.DURATION,
}
_BOOLEAN_LOOPS = ("all", "exists", "existsOne")
_LITERALS: dict[str, Callable[[str], object]] = {
    "matches": regex,
    "duration": parse_duration,
    "timestamp": parse_timestamp,
}


class Checker:
    """Checks one expression; sets `type` of every node, and slots of variables.

    `variables` maps names to types, in the order of their slots; `objects` are types that
    `Name{…}` makes.
    """

    def __init__(
        self,
        source: str,
        variables: Mapping[str, Type],
        objects: Mapping[str, Type] | None = None,
    ) -> None:
        self._source = source
        self._scope: dict[str, tuple[int, Type]] = {
            name: (slot, found) for slot, (name, found) in enumerate(variables.items(), 1)
        }
        self._objects = objects or {}
        self.slots = len(variables) + 1
        self._issues: list[Issue] = []
        #: Names of variables that the expression uses.
        self.used: set[str] = set()

    def check(self, node: Node) -> Type:
        """The type of the whole. Raises `CompileError` with every mistake."""
        found = self._type(node)
        if self._issues:
            raise CompileError(self._source, self._issues)
        return found

    def _error(self, node: Node, message: str) -> Type:
        self._issues.append(Issue(node.pos, message))
        return t.ERROR

    def _type(self, node: Node) -> Type:
        node.type = getattr(self, f"_{type(node).__name__.lower()}")(node)
        return node.type

    def _const(self, node: Const) -> Type:
        return t.of_value(node.value)

    def _ident(self, node: Ident) -> Type:
        name = node.name.lstrip(".")
        found = self._scope.get(name)
        if found is not None:
            node.slot = found[0]
            self.used.add(name)
            return found[1]
        if name in _TYPES:
            node.value = TypeValue(name)
            return t.type_of(_TYPES[name])
        return self._error(node, f"undeclared reference to '{name}' (in container '')")

    def _select(self, node: Select) -> Type:
        dotted = _dotted(node)
        if dotted and not node.test and dotted in self._scope:
            node.slot, found = self._scope[dotted]
            return found
        if dotted in _TYPES:
            return t.type_of(_TYPES[dotted])
        found = self._field(node, self._type(node.operand))
        if node.test:
            return t.BOOL
        if node.optional and found.name != "optional_type":
            return t.optional_of(found)
        return found

    def _field(self, node: Select, operand: Type) -> Type:
        if operand.name == "optional_type":
            return t.optional_of(self._field(node, operand.params[0]))
        if operand.name in ("dyn", "!error!") or operand.is_param:
            return t.DYN
        if operand.name == "map":
            return operand.params[1]
        if operand.is_object:
            found = operand.fields.get(node.name)
            if found is None:
                return self._error(node, f"undefined field '{node.name}'")
            return found
        return self._error(node, f"type '{operand}' does not support field selection")

    def _call(self, node: Call) -> Type:
        qualified = _qualified(node)
        if qualified != node.name:
            node.name, node.target = qualified, None
        operands = [self._type(one) for one in node.operands]
        function = FUNCTIONS.get(node.name)
        if function is None:
            return self._error(node, f"undeclared reference to '{node.name}' (in container '')")
        self._check_literal(node)
        return self._overload(
            node, node.name, function.signatures, operands, node.target is not None
        )

    def _check_literal(self, node: Call) -> None:
        """cel-go's validators of literals: what could only fail when it runs is wrong now."""
        judge = _LITERALS.get(node.name)
        argument = node.operands[-1] if node.operands else None
        if judge is None or not isinstance(argument, Const) or not isinstance(argument.value, str):
            return
        try:
            judge(argument.value)
        except (EvalError, RegexError):
            self._error(argument, f"invalid {node.name} argument")

    def _overload(
        self, node: Node, name: str, signatures: list[Signature], operands: list[Type], member: bool
    ) -> Type:
        results: list[Type] = []
        for signature in signatures:
            if signature.member != member or len(signature.args) != len(operands):
                continue
            bound: Bindings = {}
            if all(assignable(a, b, bound) for a, b in zip(signature.args, operands, strict=True)):
                results.append(substitute(signature.result, bound))
        if not results:
            if member:
                shown = f"'{operands[0]}.({', '.join(map(str, operands[1:]))})'"
            else:
                shown = f"'({', '.join(map(str, operands))})'"
            return self._error(node, f"found no matching overload for '{name}' applied to {shown}")
        return results[0] if all(one == results[0] for one in results) else t.DYN

    def _listnode(self, node: ListNode) -> Type:
        found: Type | None = None
        for index, item in enumerate(node.items):
            one = self._type(item)
            if index in node.optional:
                one = self._unwrapped(item, one)
            found = one if found is None else t.join(found, one)
        return t.list_of(found or t.Type("A"))

    def _unwrapped(self, node: Node, found: Type) -> Type:
        if found.name == "optional_type":
            return found.params[0]
        if found.name in ("dyn", "!error!"):
            return t.DYN
        return self._error(node, f"expected type 'optional_type' but found '{found}'")

    def _mapnode(self, node: MapNode) -> Type:
        if node.name:
            return self._object(node)
        keys: Type | None = None
        values: Type | None = None
        for key, value, optional in node.entries:
            key_type, value_type = self._type(key), self._type(value)
            if optional:
                value_type = self._unwrapped(value, value_type)
            keys = key_type if keys is None else t.join(keys, key_type)
            values = value_type if values is None else t.join(values, value_type)
        return t.map_of(keys or t.Type("A"), values or t.Type("B"))

    def _object(self, node: MapNode) -> Type:
        made = self._objects.get(node.name)
        if made is None:
            return self._error(node, f"undeclared reference to '{node.name}' (in container '')")
        for key, value, optional in node.entries:
            name = key.value if isinstance(key, Const) else ""
            found = self._type(value)
            if optional:
                found = self._unwrapped(value, found)
            wanted = made.fields.get(name, None if made.fields else t.DYN)
            if wanted is None:
                self._error(key, f"undefined field '{name}'")
            elif not assignable(wanted, found, {}):
                self._error(
                    key,
                    f"expected type of field '{name}' is '{wanted}' but provided type is '{found}'",
                )
        return made

    def _loop(self, node: Loop) -> Type:
        over = self._type(node.range)
        if node.macro in ("optMap", "optFlatMap"):
            names = [over.params[0] if over.name == "optional_type" else t.DYN]
        else:
            names = self._iterated(node, over)
        before = {name: self._scope.get(name) for name in node.names}
        first = self.slots
        node.slots = tuple(range(first, first + len(node.names)))
        self.slots += len(node.names)
        for name, slot, found in zip(node.names, node.slots, names, strict=True):
            self._scope[name] = (slot, found)
        bodies = [self._type(one) for one in node.body]
        for name, known in before.items():
            if known is None:
                del self._scope[name]
            else:
                self._scope[name] = known
        return self._result(node, over, bodies)

    def _iterated(self, node: Loop, over: Type) -> list[Type]:
        two = len(node.names) == 2
        if over.name == "list":
            return [t.INT, over.params[0]] if two else [over.params[0]]
        if over.name == "map":
            return list(over.params) if two else [over.params[0]]
        if over.name not in ("dyn", "!error!"):
            self._error(
                node.range,
                f"expression of type '{over}' cannot be range of a comprehension"
                " (must be list, map, or dynamic)",
            )
        return [t.DYN] * len(node.names)

    def _result(self, node: Loop, over: Type, bodies: list[Type]) -> Type:
        macro, last = node.macro, bodies[-1]
        tested = macro in _BOOLEAN_LOOPS or macro == "filter" or len(bodies) == 2
        if tested and not assignable(t.BOOL, bodies[0], {}):
            function = {"all": "_&&_", "exists": "_||_"}.get(macro, "_?_:_")
            message = (
                f"found no matching overload for '{function}' applied to '(bool, {bodies[0]})'"
            )
            self._error(node.body[0], message)
        if macro in _BOOLEAN_LOOPS:
            return t.BOOL
        if macro == "filter":
            return over if over.name == "list" else t.list_of(self._iterated(node, over)[0])
        if macro in ("map", "transformList"):
            return t.list_of(last)
        if macro == "transformMap":
            return t.map_of(
                over.params[0] if over.name == "map" else t.INT if over.name == "list" else t.DYN,
                last,
            )
        if macro == "transformMapEntry":
            return last
        return last if macro == "optFlatMap" else t.optional_of(last)


def _dotted(node: Node) -> str:
    if isinstance(node, Ident):
        return node.name.lstrip(".")
    if isinstance(node, Select) and not node.optional and not node.test:
        head = _dotted(node.operand)
        return f"{head}.{node.name}" if head else ""
    return ""


def _qualified(node: Call) -> str:
    """`optional.of`, `sets.contains`: functions with a namespace look like members."""
    if isinstance(node.target, Ident) and f"{node.target.name}.{node.name}" in FUNCTIONS:
        return f"{node.target.name}.{node.name}"
    return node.name
