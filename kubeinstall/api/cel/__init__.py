"""The Common Expression Language with the functions that Kubernetes adds.

program = compile_expression("self.n > 0", {"self": type_of_schema(schema)})   # CompileError
program.evaluate({"self": {"n": 3}}) -> True                                   # EvalError
"""

from kubeinstall.api.cel.compiler import Lazy
from kubeinstall.api.cel.errors import CompileError, CostExceeded, EvalError
from kubeinstall.api.cel.program import Budget, Program, compile_expression
from kubeinstall.api.cel.schema import type_of_schema

__all__ = [
    "Budget",
    "CompileError",
    "CostExceeded",
    "EvalError",
    "Lazy",
    "Program",
    "compile_expression",
    "type_of_schema",
]
