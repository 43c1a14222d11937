"""What can go wrong with an expression, in cel-go's form."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Issue:
    """A mistake at an offset (in code points) of the source."""

    offset: int
    message: str


class CompileError(Exception):
    """An expression does not compile; `str()` is what cel-go prints.

    ERROR: <input>:1:5: undefined field 'nope'
     | self.nope > 0
     | ....^
    """

    def __init__(self, source: str, issues: list[Issue]) -> None:
        self.issues = issues
        shown = list(dict.fromkeys(sorted(issues, key=lambda issue: issue.offset)))
        super().__init__("\n".join(_shown(source, issue) for issue in shown))


def _shown(source: str, issue: Issue) -> str:
    before = source[: issue.offset]
    line = before.count("\n") + 1
    column = issue.offset - (before.rfind("\n") + 1)
    text = source.split("\n")[line - 1]
    message = f"ERROR: <input>:{line}:{column + 1}: {issue.message}"
    return f"{message}\n | {text.replace(chr(9), ' ')}\n | {'.' * column}^"


class EvalError(Exception):
    """An expression failed when evaluated: `no such key: x`, `division by zero`."""


class CostExceeded(EvalError):
    """An evaluation took more than it may."""

    def __init__(self) -> None:
        super().__init__("operation cancelled: actual cost limit exceeded")


def no_overload(_function: str = "") -> EvalError:
    """Arguments of types that the function does not take."""
    return EvalError("no such overload")
