"""What is wrong with a configuration, told so that it can be found and mended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kubeinstall.errors import KubeinstallError


@dataclass(frozen=True)
class Problem:
    """One wrong field. `line` counts from 1; 0 when the value came from no line (a flag)."""

    source: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}" if self.line else self.source
        return (
            f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"
        )


class ConfigError(KubeinstallError):
    """A configuration is unreadable or wrong; `problems` has every reason."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
