"""Strings: CEL's own, the strings extension (version 2), and Kubernetes' find and findAll."""

from __future__ import annotations

from typing import Any

from kubeinstall.api.cel.errors import EvalError
from kubeinstall.api.cel.functions import define
from kubeinstall.api.regex import Regex, RegexError, regex


def pattern(text: str) -> Regex:
    """A compiled expression. Raises `EvalError`."""
    try:
        return regex(text)
    except RegexError as error:
        raise EvalError(str(error)) from error


@define("string.startsWith(string)->bool")
def _starts_with(text: str, part: str) -> bool:
    return text.startswith(part)


@define("string.endsWith(string)->bool")
def _ends_with(text: str, part: str) -> bool:
    return text.endswith(part)


@define("string.contains(string)->bool")
def _contains(text: str, part: str) -> bool:
    return part in text


@define("string.matches(string)->bool", "matches(string,string)->bool")
def _matches(text: str, expression: str) -> bool:
    return pattern(expression).matches(text)


@define("string.find(string)->string")
def _find(text: str, expression: str) -> str:
    found = pattern(expression).find_all(text, 1)
    return found[0] if found else ""


@define("string.findAll(string)->list<string>", "string.findAll(string,int)->list<string>")
def _find_all(text: str, expression: str, limit: int = -1) -> list[str]:
    return pattern(expression).find_all(text, limit)


@define("string.charAt(int)->string")
def _char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise EvalError(f"index out of range: {index}")
    return text[index : index + 1]


@define("string.indexOf(string)->int", "string.indexOf(string,int)->int")
def _index_of(text: str, part: str, start: int = 0) -> int:
    if not 0 <= start <= max(len(text), 0):
        raise EvalError(f"index out of range: {start}")
    return text.find(part, start)


@define("string.lastIndexOf(string)->int", "string.lastIndexOf(string,int)->int")
def _last_index_of(text: str, part: str, start: int | None = None) -> int:
    if start is None:
        return text.rfind(part)
    if not 0 <= start <= len(text):
        raise EvalError(f"index out of range: {start}")
    return text.rfind(part, 0, start + len(part))


@define("string.lowerAscii()->string")
def _lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


@define("string.upperAscii()->string")
def _upper(text: str) -> str:
    return "".join(char.upper() if char.isascii() else char for char in text)


@define("string.replace(string,string)->string", "string.replace(string,string,int)->string")
def _replace(text: str, old: str, new: str, limit: int = -1) -> str:
    return text.replace(old, new, limit)


@define("string.split(string)->list<string>", "string.split(string,int)->list<string>")
def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if not separator:
        found = list(text)
        if 0 < limit < len(found):
            return [*found[: limit - 1], "".join(found[limit - 1 :])]
        return found
    return text.split(separator, limit - 1 if limit > 0 else -1)


@define("string.substring(int)->string", "string.substring(int,int)->string")
def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    if not 0 <= start <= len(text):
        raise EvalError(f"index out of range: {start}")
    if not 0 <= stop <= len(text):
        raise EvalError(f"index out of range: {stop}")
    if start > stop:
        raise EvalError(f"invalid substring range. start: {start}, end: {stop}")
    return text[start:stop]


@define("string.trim()->string")
def _trim(text: str) -> str:
    return text.strip()


@define("string.reverse()->string")
def _reverse(text: str) -> str:
    return text[::-1]


@define("list<string>.join()->string", "list<string>.join(string)->string")
def _join(items: list[Any], separator: str = "") -> str:
    return separator.join(items)


@define("strings_quote(string)->string")
def _quote(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)


def _name_quote() -> None:
    from kubeinstall.api.cel.functions import FUNCTIONS

    FUNCTIONS["strings.quote"] = FUNCTIONS.pop("strings_quote")


_name_quote()
