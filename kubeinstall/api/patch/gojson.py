"""Why a text is not JSON, in the words of Go's encoding/json, which upstream's answers quote."""

from __future__ import annotations

from typing import Final

_SPACE: Final = " \t\r\n"
_ESCAPES: Final = '"\\/bfnrt'
_LITERALS: Final = {"t": "true", "f": "false", "n": "null"}


class _Wrong(Exception):
    """Carries the message."""


def explain(data: bytes) -> str:
    """The message of Go's `json.Unmarshal` for `data`; "unexpected end of JSON input" if cut short."""
    try:
        _Scanner(data.decode("utf-8", "replace")).document()
    except _Wrong as wrong:
        return str(wrong)
    return "invalid character in JSON"


def _quote(character: str) -> str:
    if character == "'":
        return "'\\''"
    if character == '"':
        return "'\"'"
    if character in "\n\r\t":
        return {"\n": "'\\n'", "\r": "'\\r'", "\t": "'\\t'"}[character]
    return f"'{character}'" if character.isprintable() else f"'\\x{ord(character):02x}'"


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def _peek(self) -> str:
        if self._at >= len(self._text):
            raise _Wrong("unexpected end of JSON input")
        return self._text[self._at]

    def _wrong(self, context: str) -> _Wrong:
        return _Wrong(f"invalid character {_quote(self._peek())} {context}")

    def _space(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in _SPACE:
            self._at += 1

    def document(self) -> None:
        self._space()
        self._value()
        self._space()
        if self._at < len(self._text):
            raise self._wrong("after top-level value")

    def _value(self) -> None:
        character = self._peek()
        if character == "{":
            self._object()
        elif character == "[":
            self._array()
        elif character == '"':
            self._string()
        elif character in "-0123456789":
            self._number()
        elif character in _LITERALS:
            self._literal(_LITERALS[character])
        else:
            raise self._wrong("looking for beginning of value")

    def _object(self) -> None:
        self._at += 1
        self._space()
        if self._peek() == "}":
            self._at += 1
            return
        while True:
            self._space()
            if self._peek() != '"':
                raise self._wrong("looking for beginning of object key string")
            self._string()
            self._space()
            if self._peek() != ":":
                raise self._wrong("after object key")
            self._at += 1
            self._space()
            self._value()
            self._space()
            if self._peek() == "}":
                self._at += 1
                return
            if self._peek() != ",":
                raise self._wrong("after object key:value pair")
            self._at += 1

    def _array(self) -> None:
        self._at += 1
        self._space()
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            self._space()
            self._value()
            self._space()
            if self._peek() == "]":
                self._at += 1
                return
            if self._peek() != ",":
                raise self._wrong("after array element")
            self._at += 1

    def _string(self) -> None:
        self._at += 1
        while self._peek() != '"':
            character = self._peek()
            if character < " ":
                raise self._wrong("in string literal")
            self._at += 1
            if character == "\\":
                self._escape()
        self._at += 1

    def _escape(self) -> None:
        character = self._peek()
        if character == "u":
            for _ in range(4):
                self._at += 1
                if self._peek() not in "0123456789abcdefABCDEF":
                    raise self._wrong("in \\u hexadecimal character escape")
        elif character not in _ESCAPES:
            raise self._wrong("in string escape code")
        self._at += 1

    def _number(self) -> None:
        if self._peek() == "-":
            self._at += 1
            if not self._peek().isdigit():
                raise self._wrong("in numeric literal")
        if self._peek() == "0":
            self._at += 1
        else:
            self._digits()
        if self._text[self._at : self._at + 1] == ".":
            self._at += 1
            if not self._peek().isdigit():
                raise self._wrong("after decimal point in numeric literal")
            self._digits()
        if self._text[self._at : self._at + 1] in ("e", "E"):
            self._at += 1
            if self._peek() in "+-":
                self._at += 1
            if not self._peek().isdigit():
                raise self._wrong("in exponent of numeric literal")
            self._digits()

    def _digits(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isdigit():
            self._at += 1

    def _literal(self, word: str) -> None:
        for position, expected in enumerate(word):
            if self._peek() != expected:
                raise self._wrong(f"in literal {word} (expecting {_quote(expected)})")
            if position < len(word):
                self._at += 1
