"""Showing a run over several hosts: a table of hosts and stages on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kubeinstall.provision.playbook import Progress
from kubeinstall.provision.results import RunResult, TaskResult

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

STAGES = ("bootstrap", "machine", "servers", "members")
_MARKS = {"ok": "ok", "changed": "changed", "failed": "FAILED", "unreachable": "UNREACHABLE"}
_STYLES = {"ok": "green", "changed": "yellow", "failed": "bold red", "unreachable": "bold red"}


class HostLines:
    """One line a task and host: `a: [servers] Run etcd and the control plane: changed (9.1 s)`."""

    def __init__(self, console: Console, *, verbose: bool = False, changes: bool = False) -> None:
        self._changes = changes or verbose
        self._console = console
        self._verbose = verbose

    def task_started(self, role: str, task: str) -> None:
        """Nothing to say yet."""

    def task_finished(self, result: TaskResult) -> None:
        """Say how it went on this host."""
        from rich.text import Text

        if result.status == "skipped" or (
            result.status == "ok" and not self._verbose and not result.warnings
        ):
            return
        line = Text(f"{result.host}: [{result.role or 'play'}] {result.task}: ")
        line.append(_MARKS[result.status], style=_STYLES[result.status])
        line.append(f" ({result.seconds:.1f} s)", style="dim")
        self._console.print(line, highlight=False)
        for change in result.changes if self._changes else ():
            self._console.print(f"    {change}", markup=False, highlight=False)
        for warning in result.warnings:
            self._console.print(f"    {warning}", style="yellow", markup=False, highlight=False)

    def output(self, line: str) -> None:
        """Ansible's own words, when asked for."""
        if self._verbose:
            self._console.print(line, style="dim", markup=False, highlight=False)


class HostTable(HostLines):
    """Below the lines that matter, a table that is kept up to date."""

    def __init__(
        self,
        console: Console,
        hosts: Sequence[str],
        *,
        verbose: bool = False,
        changes: bool = False,
    ) -> None:
        from rich.live import Live

        super().__init__(console, verbose=verbose, changes=changes)
        self._cells: dict[str, dict[str, str]] = {host: {} for host in hosts}
        self._task = "starting Ansible"
        self._since = self._began = time.monotonic()
        self.live = Live(
            console=console, transient=True, refresh_per_second=4, get_renderable=self._render
        )

    def task_started(self, role: str, task: str) -> None:
        """Name the task under way."""
        self._task, self._since = f"[{role or 'play'}] {task}", time.monotonic()

    def task_finished(self, result: TaskResult) -> None:
        """A cell holds the worst that happened on the host in the stage."""
        super().task_finished(result)
        if result.status == "skipped":
            return
        order = ("ok", "changed", "unreachable", "failed")
        cells = self._cells.setdefault(result.host, {})
        before = cells.get(result.role, "ok")
        cells[result.role] = max(before, result.status, key=order.index)

    def _render(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        now = time.monotonic()
        title = f"{self._task}  {now - self._since:.0f} s  (all: {now - self._began:.0f} s)"
        table = Table(title=Text(title), title_justify="left", box=None, padding=(0, 2, 0, 0))
        table.add_column("host")
        for stage in STAGES:
            table.add_column(stage)
        for host, cells in self._cells.items():
            row = [
                Text(_MARKS.get(cells.get(s, ""), "·"), _STYLES.get(cells.get(s, ""), "dim"))
                for s in STAGES
            ]
            table.add_row(host, *row)
        return table


@contextlib.contextmanager
def host_progress(
    console: Console, hosts: Sequence[str], *, verbosity: int = 0, changes: bool = False
) -> Iterator[Progress]:
    """The progress that fits the console."""
    if not console.is_terminal:
        yield HostLines(console, verbose=verbosity > 0, changes=changes)
        return
    table = HostTable(console, hosts, verbose=verbosity > 0, changes=changes)
    with table.live:
        yield table


def host_summary(result: RunResult, hosts: Sequence[str]) -> str:
    """One line a host: tasks, changes, failures, and the seconds that its tasks took."""
    lines = []
    for host in hosts:
        tasks = [task for task in result.tasks if task.host == host and task.status != "skipped"]
        count = {status: sum(task.status == status for task in tasks) for status in _MARKS}
        parts = [f"ok={count['ok'] + count['changed']}", f"changed={count['changed']}"]
        parts += [
            f"{status}={count[status]}" for status in ("failed", "unreachable") if count[status]
        ]
        seconds = sum(task.seconds for task in tasks)
        lines.append(f"{host:<20} {'  '.join(parts)}  {seconds:.1f} s")
    return "\n".join(lines)
