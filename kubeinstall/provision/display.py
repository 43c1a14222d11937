"""Showing a run: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kubeinstall.provision.playbook import Progress
from kubeinstall.provision.results import RunResult, TaskResult

if TYPE_CHECKING:
    from rich.console import Console

_MARKS = {"ok": "ok", "changed": "changed", "failed": "FAILED", "unreachable": "UNREACHABLE"}
_FAILURES, _LINES = 4, 32  # what fits on a screen
_STYLES = {"ok": "green", "changed": "yellow", "failed": "bold red", "unreachable": "bold red"}


class LineProgress:
    """One line a task, in kubeadm's style: `[pki] Issue certificates: changed (0.3 s)`."""

    def __init__(self, console: Console, *, verbose: bool = False) -> None:
        self._console = console
        self._verbose = verbose

    def task_started(self, role: str, task: str) -> None:
        """Nothing to say yet."""

    def host_started(self, host: str, role: str) -> None:
        """There is but one host."""

    def task_finished(self, result: TaskResult) -> None:
        """Say how it went."""
        if result.status == "skipped":
            return
        from rich.text import Text

        # Printed as one: what is live below it moves down only between whole lines.
        line = Text(f"[{result.role or 'play'}] {result.task}: ")
        line.append(_MARKS[result.status], style=_STYLES[result.status])
        line.append(f" ({result.seconds:.1f} s)", style="dim")
        self._console.print(line, highlight=False)
        if self._verbose or result.status == "changed":
            for change in result.changes:
                self._line(f"    {change}")
        for warning in result.warnings:
            self._line(f"    {warning}", "yellow")

    def output(self, line: str) -> None:
        """Ansible's own words, when asked for."""
        if self._verbose:
            self._line(line, "dim")

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(text, style=style, markup=False, highlight=False)


class LiveProgress(LineProgress):
    """The same lines, with the task under way and its time below them."""

    def __init__(self, console: Console, *, verbose: bool = False) -> None:
        from rich.progress import Progress as Bar
        from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self.bar = Bar(*columns, console=console, transient=True)
        self._task = self.bar.add_task("starting Ansible")
        super().__init__(console, verbose=verbose)

    def task_started(self, role: str, task: str) -> None:
        """Name the task under way."""
        self.bar.reset(self._task, description=f"\\[{role or 'play'}] {task}")


@contextlib.contextmanager
def progress(console: Console, *, verbosity: int = 0) -> Iterator[Progress]:
    """The progress that fits the console."""
    if not console.is_terminal:
        yield LineProgress(console, verbose=verbosity > 0)
        return
    live = LiveProgress(console, verbose=verbosity > 0)
    with live.bar:
        yield live


def show_failures(console: Console, result: RunResult, log: str) -> None:
    """Hosts, task, message and what to do, on one screen; hosts with the same trouble are named together."""
    alike: dict[tuple[str, str, str, str], list[str]] = {}
    for failure in result.failures:
        key = (failure.role or "play", failure.task, failure.status, failure.message)
        alike.setdefault(key, []).append(failure.host)
    for (role, task, status, message), hosts in list(alike.items())[:_FAILURES]:
        title = f"{', '.join(hosts)}: [{role}] {task}: {_MARKS[status]}"
        console.print(title, style="bold red", markup=False, highlight=False)
        for line in message.splitlines()[: _LINES // min(len(alike), _FAILURES)]:
            console.print(f"  {line}", markup=False, highlight=False)
    if len(alike) > _FAILURES:
        console.print(f"and {len(alike) - _FAILURES} more, which the log has", highlight=False)
    if not result.failures:
        console.print("Ansible could not run the play:", style="bold red")
        for line in result.output.splitlines()[-20:]:
            console.print(f"  {line}", markup=False, highlight=False)
    console.print(
        "What to do: mend the cause above and run the same command again; it goes on where it "
        f"stopped. The whole log: {log}",
        markup=False,
        highlight=False,
    )


def show_diffs(console: Console, result: RunResult) -> None:
    """The diffs of a dry run."""
    import difflib

    for task in result.tasks:
        for diff in task.diffs:
            lines = difflib.unified_diff(
                str(diff.get("before", "")).splitlines(),
                str(diff.get("after", "")).splitlines(),
                str(diff.get("before_header", "before")),
                str(diff.get("after_header", "after")),
                lineterm="",
            )
            for line in lines:
                style = {"+": "green", "-": "red"}.get(line[:1], "")
                console.print(line, style=style, markup=False, highlight=False)
