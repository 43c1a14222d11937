"""Regular expressions with RE2's syntax and running time, as Go's `regexp`.

Python's own take lookarounds and back references, which upstream refuses, and some of them take for ever: who
may write a definition or a policy could stop the server with one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

_KEPT = 512  # compiled expressions
#: How RE2 in C++ words what is wrong, and how Go's does.
_WORDS = {
    "missing ]": "missing closing ]",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "bad repetition operator": "invalid nested repetition operator",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid named capture group": "invalid named capture",
}


class RegexError(Exception):
    """An expression is wrong; the text is Go's: "error parsing regexp: missing closing ): `(`"."""


class Regex:
    """A compiled expression; it is not anchored."""

    __slots__ = ("_compiled",)

    def __init__(self, text: str) -> None:
        """Raises `RegexError`."""
        import re2  # 45 ms and 3 MB that most processes need not pay for

        options = re2.Options()
        options.log_errors = False
        try:
            self._compiled: Any = re2.compile(text, options)
        except re2.error as error:
            raise RegexError(_words(error, text)) from error

    def matches(self, text: str) -> bool:
        """Whether it is found anywhere in `text`."""
        return self._compiled.search(_bytes(text)) is not None

    def find_all(self, text: str, limit: int = -1) -> list[str]:
        """What it finds, one after the other; at most `limit` of them unless that is negative."""
        found: list[str] = []
        if limit == 0:
            return found
        for match in self._compiled.finditer(_bytes(text)):
            found.append(match.group().decode("utf-8", "surrogatepass"))
            if len(found) == limit:
                break
        return found


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _words(error: Exception, text: str) -> str:
    said = error.args[0] if error.args else str(error)
    what, _, where = (said.decode() if isinstance(said, bytes) else str(said)).partition(": ")
    if what.startswith("trailing \\"):
        what, where = "trailing backslash at end of expression", ""
    elif what in ("missing )", "unexpected )"):
        # Go shows the whole expression.
        what, where = ("missing closing )" if what == "missing )" else what), text
    return f"error parsing regexp: {_WORDS.get(what, what)}: `{where}`"


@lru_cache(maxsize=_KEPT)
def regex(text: str) -> Regex:
    """The compiled expression, kept. Raises `RegexError`."""
    return Regex(text)
