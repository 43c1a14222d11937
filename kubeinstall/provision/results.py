"""What a playbook run came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class TaskResult:
    """One task on one host. `status` is ok, changed, failed, unreachable or skipped."""

    host: str
    role: str
    task: str
    status: str
    seconds: float
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    message: str = ""
    diffs: tuple[dict[str, str], ...] = ()


@dataclass
class RunResult:
    """A whole run. `facts` are the values that modules returned beside their changes."""

    ok: bool = False
    seconds: float = 0.0
    tasks: list[TaskResult] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    output: str = ""

    @property
    def changed(self) -> int:
        """How many tasks changed something."""
        return sum(task.status == "changed" for task in self.tasks)

    @property
    def changes(self) -> list[str]:
        """Every change, in order."""
        return [change for task in self.tasks for change in task.changes]

    @property
    def failures(self) -> list[TaskResult]:
        """Tasks that failed, or hosts that could not be reached."""
        return [task for task in self.tasks if task.status in ("failed", "unreachable")]

    def followed_by(self, later: RunResult) -> None:
        """Add a run that came after this one: both are one, which went well if both did."""
        self.ok = self.ok and later.ok
        self.seconds += later.seconds
        self.tasks = [*self.tasks, *later.tasks]
        self.facts = {**self.facts, **later.facts}
        self.output += later.output
