"""JSON text to Python values that keep what Go's decoder looks at: key order, duplicates, number text.

Only the slow path comes here: orjson reads what is well-formed and unsuspicious.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from kubeinstall.errors import KubeinstallError

_MAX_DEPTH: Final = 10_000
_SPACE: Final = " \t\r\n"
_ESCAPES: Final = '"\\/bfnrt'
_HEX: Final = "0123456789abcdefABCDEF"
_DIGITS: Final = "0123456789"


class JSONError(KubeinstallError):
    """The text is not JSON; the message is that of Go's `encoding/json`."""


class Pairs(list[tuple[str, Any]]):
    """A JSON object as its members in order, duplicates included."""


class Number(str):
    """A JSON number as written."""

    __slots__ = ()


def parse(data: bytes) -> Any:
    """The value of a JSON text: objects are `Pairs`, numbers `Number`. Raises JSONError."""
    text = data.decode("utf-8", "replace")
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise JSONError("exceeded max depth") from None
    except ValueError as error:
        check(text)
        raise JSONError(str(error)) from error


def _pairs(members: list[tuple[str, Any]]) -> Pairs:
    return Pairs((_whole(key), _whole(value)) for key, value in members)


def _whole(value: Any) -> Any:
    # Go puts U+FFFD for half of a surrogate pair; neither UTF-8 nor orjson can carry one.
    if type(value) is str and any("\ud800" <= one <= "\udfff" for one in value):
        return "".join("�" if "\ud800" <= one <= "\udfff" else one for one in value)
    return value


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=Number, parse_float=Number, parse_constant=_constant
)


def plain(value: Any) -> Any:
    """Ordinary Python values of a parsed text; the last of duplicate members wins."""
    if isinstance(value, Pairs):
        return {key: plain(each) for key, each in value}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, Number):
        return number(value)
    return value


def number(text: str) -> int | float:
    """The number that a JSON number text writes; an integer beyond 64 bits as the nearest float, since
    nothing that is stored can hold more."""
    try:
        value = int(text)
    except ValueError:
        return float(text)
    return value if -(2**63) <= value < 2**64 else float(text)


def check(text: str) -> None:
    """Raise JSONError with Go's words when `text` is not one JSON value."""
    _Scanner(text).run()


def _quoted(character: str) -> str:
    if character == "'":
        return r"'\''"
    if character == '"':
        return "'\"'"
    # Go scans bytes: what it names is the first byte of a character beyond ASCII.
    byte = chr(character.encode()[0])
    return "'" + json.dumps(byte, ensure_ascii=False)[1:-1] + "'"


class _Scanner:
    """Go's JSON scanner: one pass, an explicit stack, its error texts."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        #: Open containers: "{" or "[".
        self._open: list[str] = []

    def run(self) -> None:
        self._value()
        while self._open:
            self._next_member()
        self._space()
        if self._at < len(self._text):
            self._fail("after top-level value")

    def _fail(self, context: str) -> NoReturn:
        if self._at >= len(self._text):
            raise JSONError("unexpected end of JSON input")
        raise JSONError(f"invalid character {_quoted(self._text[self._at])} {context}")

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _space(self) -> None:
        text, at = self._text, self._at
        while at < len(text) and text[at] in _SPACE:
            at += 1
        self._at = at

    def _value(self) -> None:
        """Read a scalar, or open containers until a scalar or an empty container is read."""
        while True:
            self._space()
            character = self._peek()
            if character not in ("{", "["):
                self._scalar(character)
                return
            self._at += 1
            self._open.append(character)
            if len(self._open) > _MAX_DEPTH:
                raise JSONError("exceeded max depth")
            self._space()
            if self._peek() == ("}" if character == "{" else "]"):
                self._at += 1
                self._open.pop()
                return
            if character == "{":
                self._key()

    def _key(self) -> None:
        self._space()
        if self._peek() != '"':
            self._fail("looking for beginning of object key string")
        self._string()
        self._space()
        if self._peek() != ":":
            self._fail("after object key")
        self._at += 1

    def _next_member(self) -> None:
        """After a value inside a container: a comma and the next value, or the end."""
        self._space()
        character, inside = self._peek(), self._open[-1]
        if character == ("}" if inside == "{" else "]"):
            self._at += 1
            self._open.pop()
            return
        if character != ",":
            self._fail("after object key:value pair" if inside == "{" else "after array element")
        self._at += 1
        if inside == "{":
            self._key()
        self._value()

    def _scalar(self, character: str) -> None:
        if character == '"':
            self._string()
        elif character and character in "-0123456789":
            self._number()
        elif character and character in "tfn":
            self._literal({"t": "true", "f": "false", "n": "null"}[character])
        else:
            self._fail("looking for beginning of value")

    def _literal(self, word: str) -> None:
        for expected in word:
            if self._peek() != expected:
                self._fail(f"in literal {word} (expecting {_quoted(expected)})")
            self._at += 1

    def _string(self) -> None:
        self._at += 1
        while (character := self._peek()) != '"':
            if not character or character < " ":
                self._fail("in string literal")
            self._at += 1
            if character == "\\":
                self._escape()
        self._at += 1

    def _escape(self) -> None:
        character = self._peek()
        if character == "u":
            self._at += 1
            for _ in range(4):
                if not self._peek() or self._peek() not in _HEX:
                    self._fail("in \\u hexadecimal character escape")
                self._at += 1
            return
        if not character or character not in _ESCAPES:
            self._fail("in string escape code")
        self._at += 1

    def _number(self) -> None:
        if self._peek() == "-":
            self._at += 1
            self._need_digit("in numeric literal")
        if self._peek() == "0":
            self._at += 1
        else:
            self._digits()
        if self._peek() == ".":
            self._at += 1
            self._need_digit("after decimal point in numeric literal")
            self._digits()
        if self._peek() in ("e", "E"):
            self._at += 1
            if self._peek() in ("+", "-"):
                self._at += 1
            self._need_digit("in exponent of numeric literal")
            self._digits()

    def _need_digit(self, context: str) -> None:
        if not self._peek() or self._peek() not in _DIGITS:
            self._fail(context)

    def _digits(self) -> None:
        while self._peek() and self._peek() in _DIGITS:
            self._at += 1
