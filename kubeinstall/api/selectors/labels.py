"""Label selectors: `app=web,tier in (a,b),!legacy,size>3` and `metav1.LabelSelector` objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from kubeinstall.errors import BadRequest

Labels = Mapping[str, str]

#: Operators as upstream's `selection.Operator` spells them.
IN, NOT_IN = "in", "notin"
EQUALS, DOUBLE_EQUALS, NOT_EQUALS = "=", "==", "!="
GREATER, LESS = "gt", "lt"
EXISTS, DOES_NOT_EXIST = "exists", "!"

_NAME: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_NAME_RULE: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_RULE: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  "
    "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_SUBDOMAIN_RULE: Final = (
    "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
    "characters, '-' or '.', and must start and end with an alphanumeric character (e.g. "
    "'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


class SelectorError(BadRequest):
    """The selector cannot be read; the message is upstream's."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term of a selector; `values` are sorted and unique. Made by `requirement()`, which checks."""

    key: str
    operator: str
    values: tuple[str, ...]

    def matches(self, labels: Labels) -> bool:
        """Whether `labels` satisfy this term (as upstream's `Requirement.Matches`)."""
        value = labels.get(self.key)
        operator = self.operator
        if operator in (IN, EQUALS, DOUBLE_EQUALS):
            return value is not None and value in self.values
        if operator in (NOT_IN, NOT_EQUALS):
            return value is None or value not in self.values
        if operator == EXISTS:
            return value is not None
        if operator == DOES_NOT_EXIST:
            return value is None
        return self._compares(value)

    def _compares(self, value: str | None) -> bool:
        if value is None or not _INTEGER.fullmatch(value):
            return False
        number, bound = int(value), int(self.values[0])
        if not -(2**63) <= number < 2**63:
            return False
        return number > bound if self.operator == GREATER else number < bound

    def __str__(self) -> str:
        if self.operator == EXISTS:
            return self.key
        if self.operator == DOES_NOT_EXIST:
            return f"!{self.key}"
        if self.operator in (IN, NOT_IN):
            return f"{self.key} {self.operator} ({','.join(self.values)})"
        sign = {GREATER: ">", LESS: "<"}.get(self.operator, self.operator)
        return f"{self.key}{sign}{self.values[0]}"


class LabelSelector:
    """A conjunction of requirements, or nothing at all (`LabelSelector.nothing()`)."""

    __slots__ = ("_checks", "equalities", "matches_nothing", "requirements")

    def __init__(self, requirements: Iterable[Requirement], *, nothing: bool = False) -> None:
        self.requirements = tuple(sorted(requirements, key=lambda r: r.key))
        self.matches_nothing = nothing
        #: key → the only value that can match; for indexes.
        self.equalities: dict[str, str] = {
            r.key: r.values[0]
            for r in self.requirements
            if r.operator in (EQUALS, DOUBLE_EQUALS, IN) and len(r.values) == 1
        }
        self._checks: tuple[Callable[[Labels], bool], ...] = tuple(
            r.matches
            for r in self.requirements
            if not (r.operator in (EQUALS, DOUBLE_EQUALS, IN) and len(r.values) == 1)
        )

    @classmethod
    def everything(cls) -> LabelSelector:
        """Matches all labels."""
        return cls(())

    @classmethod
    def nothing(cls) -> LabelSelector:
        """Matches no labels."""
        return cls((), nothing=True)

    @staticmethod
    def parse(text: str) -> LabelSelector:
        """The selector that the string syntax writes; empty selects everything.

        Raises SelectorError (400) with upstream's message.
        """
        return _parse_cached(text)

    @classmethod
    def from_object(cls, selector: Mapping[str, Any] | None) -> LabelSelector:
        """From `metav1.LabelSelector`: None selects nothing, an empty one everything.

        Raises SelectorError when an operator or value is not valid.
        """
        if selector is None:
            return cls.nothing()
        found = [
            requirement(key, EQUALS, [value])
            for key, value in (selector.get("matchLabels") or {}).items()
        ]
        for expression in selector.get("matchExpressions") or ():
            operator = _OBJECT_OPERATORS.get(expression.get("operator", ""))
            if operator is None:
                quoted = f'"{expression.get("operator", "")}"'
                raise SelectorError(f"{quoted} is not a valid label selector operator")
            found.append(requirement(expression["key"], operator, expression.get("values") or []))
        return cls(found)

    @classmethod
    def from_set(cls, labels: Labels) -> LabelSelector:
        """Every given label with its value, as a Service's `spec.selector`; not checked."""
        return cls(Requirement(key, EQUALS, (value,)) for key, value in labels.items())

    @property
    def empty(self) -> bool:
        """Whether everything matches."""
        return not self.requirements and not self.matches_nothing

    def matches(self, labels: Labels | None) -> bool:
        """Whether an object with these labels is selected."""
        if self.matches_nothing:
            return False
        if not self.requirements:
            return True
        if labels is None:
            labels = {}
        for key, value in self.equalities.items():
            if labels.get(key) != value:
                return False
        return all(check(labels) for check in self._checks)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, LabelSelector)
            and self.requirements == other.requirements
            and self.matches_nothing == other.matches_nothing
        )

    def __hash__(self) -> int:
        return hash((self.requirements, self.matches_nothing))


_OBJECT_OPERATORS: Final = {
    "In": IN,
    "NotIn": NOT_IN,
    "Exists": EXISTS,
    "DoesNotExist": DOES_NOT_EXIST,
}


def requirement(key: str, operator: str, values: Iterable[str]) -> Requirement:
    """A checked Requirement. Raises SelectorError with the messages of upstream's `NewRequirement`."""
    ordered = tuple(sorted(set(values)))
    errors: list[str] = []
    if key_error := _key_error(key):
        errors.append(f'key: Invalid value: "{key}": {key_error}')
    errors += _count_errors(operator, ordered)
    for index, value in enumerate(ordered):
        if value_error := _value_error(value):
            errors.append(f'values[{index}][{key}]: Invalid value: "{value}": {value_error}')
    if errors:
        raise SelectorError(errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")
    return Requirement(key, operator, ordered)


def _count_errors(operator: str, values: tuple[str, ...]) -> list[str]:
    shown = "[" + ",".join(f'"{value}"' for value in values) + "]"
    if operator in (IN, NOT_IN):
        why = "for 'in', 'notin' operators, values set can't be empty"
        return [] if values else [f"values: Invalid value: {shown}: {why}"]
    if operator in (EQUALS, DOUBLE_EQUALS, NOT_EQUALS):
        why = "exact-match compatibility requires one single value"
        return [] if len(values) == 1 else [f"values: Invalid value: {shown}: {why}"]
    if operator in (EXISTS, DOES_NOT_EXIST):
        why = "values set must be empty for exists and does not exist"
        return [f"values: Invalid value: {shown}: {why}"] if values else []
    if len(values) != 1:
        why = "for 'Gt', 'Lt' operators, exactly one value is required"
        return [f"values: Invalid value: {shown}: {why}"]
    if not _INTEGER.fullmatch(values[0]) or not -(2**63) <= int(values[0]) < 2**63:
        why = "for 'Gt', 'Lt' operators, the value must be an integer"
        return [f'values[0]: Invalid value: "{values[0]}": {why}']
    return []


def _key_error(key: str) -> str:
    parts = key.split("/")
    errors: list[str] = []
    if len(parts) > 2:
        return (
            "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or "
            "'123-abc', regex used for validation is "
            "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix "
            "and '/' (e.g. 'example.com/MyName')"
        )
    if len(parts) == 2:
        if not parts[0]:
            errors.append("prefix part must be non-empty")
        elif len(parts[0]) > 253:
            errors.append("prefix part must be no more than 253 bytes")
        elif not _SUBDOMAIN.fullmatch(parts[0]):
            errors.append(_SUBDOMAIN_RULE)
    name = parts[-1]
    if not name:
        errors.append("name part must be non-empty")
    elif len(name) > 63:
        errors.append("name part must be no more than 63 bytes")
    if not _NAME.fullmatch(name):
        errors.append(_NAME_RULE)
    return "; ".join(errors)


def _value_error(value: str) -> str:
    errors: list[str] = []
    if len(value) > 63:
        errors.append("must be no more than 63 bytes")
    if value and not _NAME.fullmatch(value):
        errors.append(_VALUE_RULE)
    return "; ".join(errors)


@lru_cache(maxsize=1024)
def _parse_cached(text: str) -> LabelSelector:
    return LabelSelector(_Parser(text).parse())


_SPECIAL: Final = {
    ")": "close",
    ",": "comma",
    "!": DOES_NOT_EXIST,
    "==": DOUBLE_EQUALS,
    "=": EQUALS,
    ">": GREATER,
    "<": LESS,
    "(": "open",
    "!=": NOT_EQUALS,
}
_WORDS: Final = {"in": IN, "notin": NOT_IN}
_IDENTIFIER, _END, _OTHER = "identifier", "end", "error"
_BINARY: Final = (IN, NOT_IN, EQUALS, DOUBLE_EQUALS, NOT_EQUALS, GREATER, LESS)
_TOKEN: Final = re.compile(r"[ \t\r\n]*(?:(==|!=|[=!()><,])|([^=!()><, \t\r\n]+))")


class _Parser:
    """Recursive descent over (sort, literal) pairs, in the order upstream's parser looks."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        for match in _TOKEN.finditer(text):
            symbol, word = match.groups()
            self._tokens.append(
                (_SPECIAL[symbol], symbol) if symbol else (_WORDS.get(word, _IDENTIFIER), word)
            )
        self._tokens.append((_END, ""))
        self._position = 0

    def _look(self, *, operators: bool = False) -> tuple[str, str]:
        sort, literal = self._tokens[min(self._position, len(self._tokens) - 1)]
        if not operators and sort in (IN, NOT_IN):
            # Where a name or value stands, "in" and "notin" are words like any other.
            sort = _IDENTIFIER
        return sort, literal

    def _take(self, *, operators: bool = False) -> tuple[str, str]:
        found = self._look(operators=operators)
        self._position += 1
        return found

    def parse(self) -> list[Requirement]:
        requirements: list[Requirement] = []
        while True:
            sort, literal = self._look()
            if sort == _END:
                return requirements
            if sort not in (_IDENTIFIER, DOES_NOT_EXIST):
                raise SelectorError(
                    f"found '{literal}', expected: !, identifier, or 'end of string'"
                )
            try:
                requirements.append(self._requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error.message}") from error
            sort, literal = self._take()
            if sort == _END:
                return requirements
            if sort != "comma":
                raise SelectorError(f"found '{literal}', expected: ',' or 'end of string'")
            sort, literal = self._look()
            if sort not in (_IDENTIFIER, DOES_NOT_EXIST):
                raise SelectorError(f"found '{literal}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        operator = ""
        sort, literal = self._take()
        if sort == DOES_NOT_EXIST:
            operator = DOES_NOT_EXIST
            sort, literal = self._take()
        if sort != _IDENTIFIER:
            raise SelectorError(f"found '{literal}', expected: identifier")
        key = literal
        if error := _key_error(key):
            raise SelectorError(f'<nil>: Invalid value: "{key}": {error}')
        if self._look()[0] in (_END, "comma") and not operator:
            operator = EXISTS
        if operator:
            return requirement(key, operator, ())
        operator, literal = self._take(operators=True)
        if operator not in _BINARY:
            raise SelectorError(f"found '{literal}', expected: {', '.join(_BINARY)}")
        if operator in (IN, NOT_IN):
            return requirement(key, operator, self._values())
        return requirement(key, operator, (self._exact_value(),))

    def _exact_value(self) -> str:
        if self._look()[0] in (_END, "comma"):
            return ""
        sort, literal = self._take()
        if sort != _IDENTIFIER:
            raise SelectorError(f"found '{literal}', expected: identifier")
        return literal

    def _values(self) -> set[str]:
        sort, literal = self._take()
        if sort != "open":
            raise SelectorError(f"found '{literal}' expected: '('")
        sort, literal = self._look()
        if sort == "close":
            self._take()
            return set()
        if sort not in (_IDENTIFIER, "comma"):
            raise SelectorError(f"found '{literal}', expected: ',', ')' or identifier")
        values = self._identifiers()
        if self._take()[0] != "close":
            raise SelectorError(f"found '{literal}', expected: ')'")
        return values

    def _identifiers(self) -> set[str]:
        values: set[str] = set()
        while True:
            sort, literal = self._take()
            following, next_literal = self._look()
            if sort == _IDENTIFIER:
                values.add(literal)
                if following == "close":
                    return values
                if following != "comma":
                    raise SelectorError(f"found '{next_literal}', expected: ',' or ')'")
            elif sort == "comma":
                if not values:
                    values.add("")
                if following == "close":
                    values.add("")
                    return values
                if following == "comma":
                    self._take()
                    values.add("")
            else:
                raise SelectorError(f"found '{literal}', expected: ',', or identifier")
