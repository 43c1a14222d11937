"""`x-kubernetes-validations`: rules in CEL, compiled with the schema, checked on every write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from kubeinstall.api.cel import (
    Budget,
    CompileError,
    CostExceeded,
    EvalError,
    Program,
    compile_expression,
    type_of_schema,
)
from kubeinstall.api.cel.types import Type, optional_of
from kubeinstall.api.cel.values import NONE, Optional
from kubeinstall.api.custom import costs, ratcheting
from kubeinstall.api.types import Object
from kubeinstall.api.validation.errors import Errors

_FIELD = "x-kubernetes-validations"
_BLOCKING = frozenset(
    {
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    }
)
_SKIPPED = (
    "some validation rules were not checked because the object was invalid; correct the existing"
    " errors to complete validation"
)
_OUT_OF_BUDGET = (
    "validation failed due to running out of cost budget, no further validation rules will be run"
)


class _Rule(NamedTuple):
    rule: Object
    program: Program
    message: Program | None
    transition: bool


class _Node(NamedTuple):
    """A schema's rules and, below it, the schemas that have some."""

    schema: Object
    rules: list[_Rule]
    properties: dict[str, _Node]
    extra: _Node | None
    items: _Node | None


def has_rules(schema: Object) -> bool:
    """Whether there is any rule in a schema."""
    return bool(schema.get(_FIELD)) or any(has_rules(child) for _, child in _children(schema))


def _children(schema: Object) -> Iterator[tuple[str, Object]]:
    for name, child in (schema.get("properties") or {}).items():
        yield f".properties[{name}]", child
    for field in ("additionalProperties", "items"):
        child = schema.get(field)
        if isinstance(child, dict):
            yield f".{field}", child


def check_rules(errors: Errors, schema: Object, path: str, *, root: bool = True) -> None:
    """Append what is wrong with the rules of a definition's schema."""
    _check_rules(errors, schema, path, root=root, correlatable=True)
    _check_costs(errors, schema, path)


_MOST_SHOWN = 4  # of the rules that make a whole schema too expensive


def _check_costs(errors: Errors, schema: Object, path: str) -> None:
    """Refuse rules that may take too long, each for itself and all together."""
    found = [(cost, where) for cost, where, _ in _costs(schema, path, 1)]
    for cost, where in found:
        if cost > costs.RULE_LIMIT:
            errors.forbidden(where, costs.message("estimated rule cost", cost, costs.RULE_LIMIT))
    total = sum(cost for cost, _ in found)
    if total <= costs.SCHEMA_LIMIT:
        return
    for _, where in sorted(found, reverse=True)[:_MOST_SHOWN]:
        text = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
        errors.forbidden(where, text)
    what = f"{_FIELD} estimated rule cost total for entire OpenAPIv3 schema"
    errors.forbidden(path, costs.message(what, total, costs.SCHEMA_LIMIT))


def _costs(schema: Object, path: str, times: int) -> Iterator[tuple[int, str, str]]:
    """(cost, path, source) of every rule below a schema that is there `times` times."""
    for index, rule in enumerate(schema.get(_FIELD) or []):
        source = (rule.get("rule") or "").strip()
        try:
            cost = costs.estimate(source, schema) if source else 0
        except CompileError:
            continue
        yield cost * times, f"{path}.{_FIELD}[{index}].rule", source
    for suffix, child, often in costs.children(schema):
        yield from _costs(child, path + suffix, times * often)


def _check_rules(
    errors: Errors, schema: Object, path: str, *, root: bool, correlatable: bool
) -> None:
    found = type_of_schema(schema, root=root) if schema.get(_FIELD) else None
    for index, rule in enumerate(schema.get(_FIELD) or []):
        if (rule.get("rule") or "").strip() and found is not None:
            _check_rule(errors, rule, found, f"{path}.{_FIELD}[{index}]", correlatable)
    listed = schema.get("x-kubernetes-list-type") == "map"
    for suffix, child in _children(schema):
        below = correlatable and (suffix != ".items" or listed)
        _check_rules(errors, child, path + suffix, root=False, correlatable=below)


def _check_rule(errors: Errors, rule: Object, found: Type, path: str, correlatable: bool) -> None:
    try:
        program = compile_expression(rule["rule"], _variables(rule, found))
    except CompileError as error:
        errors.invalid(f"{path}.rule", rule, f"compilation failed: {error}")
        return
    if program.type.name not in ("bool", "dyn"):
        errors.invalid(f"{path}.rule", rule, "cel expression must evaluate to a bool")
    if "oldSelf" in program.used and not correlatable:
        message = (
            f"oldSelf cannot be used on the uncorrelatable portion of the schema within {path}"
        )
        errors.invalid(f"{path}.rule", rule["rule"], message)
    text = rule.get("messageExpression")
    if text is None:
        return
    try:
        wording = compile_expression(text, _variables(rule, found))
    except CompileError as error:
        detail = f"messageExpression compilation failed: {error}"
        errors.invalid(f"{path}.messageExpression", rule, detail)
        return
    if wording.type.name not in ("string", "dyn"):
        detail = "messageExpression must evaluate to a string"
        errors.invalid(f"{path}.messageExpression", rule, detail)


def _variables(rule: Object, found: Type) -> dict[str, Type]:
    old = optional_of(found) if rule.get("optionalOldSelf") else found
    return {"self": found, "oldSelf": old}


class Rules:
    """The rules of one version. Rules that do not compile were refused with the definition."""

    def __init__(self, schema: Object) -> None:
        self._root = _node(schema, root=True)

    def check(self, obj: Object, old: Object | None, errors: Errors) -> None:
        """Append what breaks a rule, unless other errors make that pointless."""
        if self._root is None:
            return
        if any(error.kind in _BLOCKING for error in errors):
            errors.invalid("<nil>", None, _SKIPPED)
            return
        try:
            _check(self._root, obj, old, "", errors, Budget())
        except CostExceeded:
            errors.invalid("<nil>", "object", _OUT_OF_BUDGET)


def _node(schema: Object, *, root: bool = False) -> _Node | None:
    if not has_rules(schema):
        return None
    found = type_of_schema(schema, root=root)
    rules = [_compiled(rule, found) for rule in schema.get(_FIELD) or [] if found is not None]
    properties = {
        name: node
        for name, child in (schema.get("properties") or {}).items()
        if (node := _node(child)) is not None
    }
    extra, items = schema.get("additionalProperties"), schema.get("items")
    return _Node(
        schema,
        [rule for rule in rules if rule is not None],
        properties,
        _node(extra) if isinstance(extra, dict) else None,
        _node(items) if isinstance(items, dict) else None,
    )


def _compiled(rule: Object, found: Type) -> _Rule | None:
    variables = _variables(rule, found)
    try:
        program = compile_expression(rule["rule"], variables)
    except CompileError:
        return None
    message = None
    if rule.get("messageExpression"):
        try:
            message = compile_expression(rule["messageExpression"], variables)
        except CompileError:
            message = None
    return _Rule(rule, program, message, "oldSelf" in program.used)


def _check(node: _Node, value: Any, old: Any, path: str, errors: Errors, budget: Budget) -> None:
    if value is None:
        return
    same = bool(node.rules) and old is not None and ratcheting.unchanged(value, old)
    for rule in node.rules:
        # What an update did not change is judged only by what compares with before.
        if not same or rule.transition:
            _apply(node, rule, value, old, path, errors, budget)
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for name, item in value.items():
            child = node.properties.get(name) or node.extra
            if child is not None:
                where = f"{path}.{name}" if name in node.properties else f"{path}[{name}]"
                _check(child, item, before.get(name), where.lstrip("."), errors, budget)
    elif isinstance(value, list) and node.items is not None:
        for index, item in enumerate(value):
            before = _correlated(node.schema, item, old)
            _check(node.items, item, before, f"{path}[{index}]", errors, budget)


def _correlated(schema: Object, item: Any, old: Any) -> Any:
    """The old item with the same keys, in a list that is a map."""
    found = ratcheting.old_item(schema, item, old)
    return None if found is ratcheting.ABSENT else found


def _apply(
    node: _Node, rule: _Rule, value: Any, old: Any, path: str, errors: Errors, budget: Budget
) -> None:
    optional = bool(rule.rule.get("optionalOldSelf"))
    if rule.transition and old is None and not optional:
        return
    values = {"self": value, "oldSelf": old}
    if optional:
        values["oldSelf"] = NONE if old is None else Optional(old, present=True)
    kind = node.schema.get("type") or "object"
    where = path + (rule.rule.get("fieldPath") or "")
    where = where.lstrip(".") or "<nil>"
    try:
        if rule.program.evaluate(values, budget) is True:
            return
    except CostExceeded:
        if budget.left <= 0:
            raise
        text = f"no further validation rules will be run due to call cost exceeds limit for rule: {_failed(rule)}"
        errors.invalid(where, kind, text)
        return
    except EvalError as error:
        errors.invalid(where, kind, f"{error} evaluating rule: {_failed(rule)}")
        return
    _report(errors, rule, where, kind, _message(rule, values, budget))


def _failed(rule: _Rule) -> str:
    message = (rule.rule.get("message") or "").strip()
    return message or f"failed rule: {rule.rule['rule'].strip()}"


def _message(rule: _Rule, values: Object, budget: Budget) -> str:
    if rule.message is not None:
        try:
            text = rule.message.evaluate(values, budget)
        except CostExceeded:
            if budget.left <= 0:
                raise
            text = ""
        except EvalError:
            text = ""
        if isinstance(text, str) and text.strip() and "\n" not in text and len(text) <= 5120:
            return text.strip()
    return _failed(rule)


def _report(errors: Errors, rule: _Rule, path: str, kind: str, message: str) -> None:
    reason = rule.rule.get("reason") or "FieldValueInvalid"
    if reason == "FieldValueRequired":
        errors.required(path, message)
    elif reason == "FieldValueForbidden":
        errors.forbidden(path, message)
    elif reason == "FieldValueDuplicate":
        errors.duplicate(path, kind)
    else:
        errors.invalid(path, kind, message)
