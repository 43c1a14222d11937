"""Field selectors: `status.phase!=Running,spec.nodeName=n1`, checked against what a kind supports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from kubeinstall.api.selectors.labels import SelectorError
from kubeinstall.api.selectors.selectable import convert_field

_OPERATORS: Final = ("!=", "==", "=")


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """`field` must (or, if `negated`, must not) equal `value`."""

    field: str
    value: str
    negated: bool

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
        return f"{self.field}{'!=' if self.negated else '='}{escaped}"


class FieldSelector:
    """A conjunction of field terms."""

    __slots__ = ("equalities", "terms")

    def __init__(self, terms: tuple[FieldTerm, ...]) -> None:
        self.terms = terms
        #: field → the only value that can match; for indexes and single-object reads.
        self.equalities: dict[str, str] = {t.field: t.value for t in terms if not t.negated}

    @staticmethod
    def parse(text: str) -> FieldSelector:
        """The selector that `text` writes; no check of field names. Raises SelectorError (400)."""
        return FieldSelector(tuple(_terms(text)))

    @property
    def empty(self) -> bool:
        """Whether everything matches."""
        return not self.terms

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether an object with these selectable fields is selected; absent ones are empty."""
        return all((fields.get(t.field, "") == t.value) is not t.negated for t in self.terms)

    def __str__(self) -> str:
        return ",".join(map(str, self.terms))


@lru_cache(maxsize=1024)
def field_selector(
    text: str, group: str, version: str, kind: str, extra: tuple[str, ...] = ()
) -> FieldSelector:
    """The selector for one kind; `extra` names a CustomResource's `selectableFields`.

    Raises SelectorError (400) with upstream's message for a field that the kind does not support.
    """
    terms = tuple(
        FieldTerm(convert_field(t.field, group, version, kind, extra), t.value, t.negated)
        for t in _terms(text)
    )
    return FieldSelector(terms)


def _terms(text: str) -> Iterator[FieldTerm]:
    for part in _split(text):
        if not part:
            continue
        for index in range(len(part)):
            operator = next((o for o in _OPERATORS if part.startswith(o, index)), None)
            if operator is not None:
                value = _unescape(part[index + len(operator) :])
                yield FieldTerm(part[:index], value, operator == "!=")
                break
        else:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")


def _split(text: str) -> Iterator[str]:
    """Parts between commas that no backslash protects."""
    start, escaped = 0, False
    for index, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ",":
            yield text[start:index]
            start = index + 1
    yield text[start:]


def _unescape(value: str) -> str:
    out: list[str] = []
    characters = iter(value)
    for character in characters:
        if character == "\\":
            following = next(characters, "")
            if following not in ("\\", ",", "="):
                raise SelectorError(
                    f"invalid field selector: invalid escape sequence: \\{following}"
                )
            out.append(following)
        elif character in ",=":
            raise SelectorError(
                f"invalid field selector: unescaped character in value: {ord(character)}"
            )
        else:
            out.append(character)
    return "".join(out)
