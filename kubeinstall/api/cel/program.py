"""Expressions made ready to run, and kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeinstall.api.cel import library as _library  # noqa: F401 - registers the functions
from kubeinstall.api.cel.checker import Checker
from kubeinstall.api.cel.compiler import Lazy, Run, compile_node
from kubeinstall.api.cel.errors import CompileError, EvalError, Issue
from kubeinstall.api.cel.mutations import TYPES, check_names
from kubeinstall.api.cel.parser import parse
from kubeinstall.api.cel.types import Type

#: What one expression may spend, and all expressions of one object or request together.
CALL_LIMIT, REQUEST_LIMIT = 1_000_000, 10_000_000


class Program:
    """A compiled expression. `type` is its static type."""

    __slots__ = ("_names", "_run", "_slots", "source", "type", "used")

    def __init__(
        self, source: str, run: Run, checker: Checker, found: Type, names: list[str]
    ) -> None:
        self.source = source
        self.type = found
        self._run = run
        self._names = names
        self._slots = checker.slots
        #: Which variables it looks at.
        self.used = frozenset(checker.used)

    def evaluate(self, values: Mapping[str, Any], budget: Budget | None = None) -> Any:
        """The value. Raises `EvalError`; `CostExceeded` where the budget ends."""
        frame: list[Any] = [None] * self._slots
        limit = CALL_LIMIT if budget is None else min(CALL_LIMIT, budget.left)
        frame[0] = limit
        for slot, name in enumerate(self._names, 1):
            frame[slot] = values.get(name)
        try:
            return self._run(frame)
        except RecursionError as error:
            raise EvalError("expression is nested too deeply") from error
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise EvalError("no such overload") from error
        finally:
            if budget is not None:
                budget.left -= limit - frame[0] + 1


class Budget:
    """What expressions may still spend together."""

    __slots__ = ("left",)

    def __init__(self, left: int = REQUEST_LIMIT) -> None:
        self.left = left


def compile_expression(
    source: str, variables: Mapping[str, Type], objects: Mapping[str, Type] | None = None
) -> Program:
    """Parse, check and compile. Raises `CompileError`.

    `objects` are types that the expression may make; those of `mutations.TYPES` only in their places.
    """
    try:
        node = parse(source)
        if objects is TYPES:
            check_names(source, node)
        checker = Checker(source, variables, objects)
        found = checker.check(node)
        return Program(source, compile_node(node), checker, found, list(variables))
    except RecursionError as error:
        raise CompileError(source, [Issue(0, "expression recursion limit exceeded")]) from error


__all__ = ["Budget", "Lazy", "Program", "compile_expression"]
