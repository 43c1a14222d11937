"""Tokens of CEL source."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from kubeinstall.api.cel.errors import CompileError, Issue
from kubeinstall.api.cel.values import INT_MAX, UINT_MAX, UInt


class Token(NamedTuple):
    """`kind` is ident, quoted, const, end, or the operator's text itself."""

    kind: str
    text: str
    pos: int
    value: Any = None


_TOKENS = re.compile(
    r"""(?P<space>(?:[ \t\r\n\f]|//[^\n]*)+)
    |(?P<string>(?:[rR][bB]?|[bB][rR]?)?(?:\"\"\"[\s\S]*?(?<!\\)\"\"\"|'''[\s\S]*?(?<!\\)'''))
    |(?P<raw>(?:[rR][bB]?|[bB][rR])(?:"[^"\n\r]*"|'[^'\n\r]*'))
    |(?P<plain>[bB]?(?:"(?:\\.|[^"\\\n\r])*"|'(?:\\.|[^'\\\n\r])*'))
    |(?P<float>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
    |(?P<int>0x[0-9a-fA-F]+[uU]?|\d+[uU]?)
    |(?P<ident>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<quoted>`[A-Za-z0-9_.\-/ ]+`)
    |(?P<op>==|!=|<=|>=|&&|\|\||[-+*/%!<>?:.,()\[\]{}])""",
    re.VERBOSE,
)
_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?",
}  # fmt: skip
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|X([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))",
    re.DOTALL,
)
RESERVED = frozenset(
    {
        *("as", "break", "const", "continue", "else", "for", "function", "if", "import", "let"),
        *("loop", "package", "namespace", "return", "var", "void", "while"),
    }
)
LIMIT = 100_000  # code points of an expression, as cel-go


def tokens(source: str) -> list[Token]:
    """All tokens and an `end`. Raises `CompileError`."""
    if len(source) > LIMIT:
        size = len(source)
        issue = Issue(0, f"expression code point size exceeds limit: size: {size}, limit {LIMIT}")
        raise CompileError("", [issue])
    found: list[Token] = []
    pos = 0
    while pos < len(source):
        match = _TOKENS.match(source, pos)
        if match is None:
            message = f"Syntax error: token recognition error at: '{source[pos]}'"
            raise CompileError(source, [Issue(pos, message)])
        kind, text = match.lastgroup or "", match.group()
        if kind != "space":
            found.append(_token(source, kind, text, pos))
        pos = match.end()
    found.append(Token("end", "<EOF>", len(source)))
    return found


def _token(source: str, kind: str, text: str, pos: int) -> Token:
    if kind in ("ident", "quoted"):
        return Token(kind, text.strip("`"), pos)
    if kind == "op":
        return Token(text, text, pos)
    try:
        return Token("const", text, pos, _value(kind, text))
    except ValueError as error:
        raise CompileError(source, [Issue(pos, str(error))]) from error


def _value(kind: str, text: str) -> Any:
    if kind == "float":
        return float(text)
    if kind == "int":
        return _integer(text)
    prefix = text[: min(text.find(quote) for quote in "'\"" if quote in text)].lower()
    body = text[len(prefix) :]
    size = 3 if body[:3] in ('"""', "'''") else 1
    body = body[size:-size]
    if "r" not in prefix:
        return _unescape(body, as_bytes="b" in prefix)
    return body.encode() if "b" in prefix else body


def _integer(text: str) -> int:
    unsigned = text[-1] in "uU"
    digits = text[:-1] if unsigned else text
    number = int(digits, 16 if digits.startswith("0x") else 10)
    if unsigned:
        if number > UINT_MAX:
            raise ValueError("invalid uint literal")
        return UInt(number)
    if number > INT_MAX + 1:
        raise ValueError("invalid int literal")
    return number


def _unescape(body: str, *, as_bytes: bool) -> Any:
    pieces: list[bytes] = []
    last = 0
    for match in _ESCAPE.finditer(body):
        pieces.append(body[last : match.start()].encode())
        pieces.append(_escape(match, as_bytes))
        last = match.end()
    pieces.append(body[last:].encode())
    joined = b"".join(pieces)
    return joined if as_bytes else joined.decode("utf-8", "surrogatepass")


def _escape(match: re.Match[str], as_bytes: bool) -> bytes:
    small, capital, short, long, octal, plain = match.groups()
    if plain is not None:
        if plain not in _ESCAPES:
            raise ValueError("unable to unescape string")
        return _ESCAPES[plain].encode()
    number = int(octal, 8) if octal else int(small or capital or short or long, 16)
    if as_bytes and (octal or small or capital):
        return bytes([number & 0xFF])
    if number > 0x10FFFF or 0xD800 <= number < 0xE000:
        raise ValueError("unable to unescape string")
    return chr(number).encode()
