"""Showing a run over several hosts: a table of hosts and stages on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kubeinstall.provision.playbook import Progress
from kubeinstall.provision.results import RunResult, TaskResult

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.text import Text

STAGES = ("bootstrap", "machine", "servers", "members")
_PLAY = "play"  # of tasks that belong to no role
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

    def host_started(self, host: str, role: str) -> None:
        """Nothing to say yet."""

    def task_finished(self, result: TaskResult) -> None:
        """Say how it went on this host."""
        from rich.text import Text

        if result.status == "skipped" or (
            result.status == "ok" and not self._verbose and not result.warnings
        ):
            return
        line = Text(f"{result.host}: [{result.role or _PLAY}] {result.task}: ")
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
    """Below the lines that matter, a table that is kept up to date: hosts, stages, and what each is at.

    A stage is a role; those in `stages` are shown from the beginning, others when they begin.
    """

    def __init__(
        self,
        console: Console,
        hosts: Sequence[str],
        *,
        verbose: bool = False,
        changes: bool = False,
        stages: Sequence[str] = (),
    ) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        super().__init__(console, verbose=verbose, changes=changes)
        self._cells: dict[str, dict[str, str]] = {host: {} for host in hosts}
        self._stages = list(stages)
        self._busy: dict[str, tuple[str, float]] = {}  # host → stage, since when
        self._spinner = Spinner("dots")
        self._task = "starting Ansible"
        self._since = self._began = time.monotonic()
        self.live = Live(
            console=console, transient=True, refresh_per_second=8, get_renderable=self._render
        )

    def task_started(self, role: str, task: str) -> None:
        """Name the task under way."""
        self._task, self._since = f"[{role or _PLAY}] {task}", time.monotonic()

    def host_started(self, host: str, role: str) -> None:
        """The host is at it."""
        self._busy[host] = (role or _PLAY, time.monotonic())

    def task_finished(self, result: TaskResult) -> None:
        """A cell holds the worst that happened on the host in the stage."""
        super().task_finished(result)
        self._busy.pop(result.host, None)
        if result.status == "skipped":
            return
        stage = result.role or _PLAY
        if stage not in self._stages:
            self._stages.append(stage)
        order = ("ok", "changed", "unreachable", "failed")
        cells = self._cells.setdefault(result.host, {})
        before = cells.get(stage, "ok")
        cells[stage] = max(before, result.status, key=order.index)

    def _render(self) -> Group:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        now = time.monotonic()
        width = self._console.width
        times = f"{now - self._since:.0f} s, all {now - self._began:.0f} s"
        task = Text(self._task, no_wrap=True, overflow="ellipsis")
        task.truncate(max(width - len(times) - 4, 10), overflow="ellipsis")
        title = Text.assemble(task, "  ", (times, "dim"))
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        # As many hosts as the screen has room for; those at work, and those that failed, before the others.
        room = max(self._console.height - 4, 1)
        shown = sorted(self._cells, key=self._rank)[:room]
        table.add_column("host", no_wrap=True, overflow="ellipsis", max_width=24)
        for stage in self._stages:
            table.add_column(stage, no_wrap=True, overflow="ellipsis")
        for host in (name for name in self._cells if name in shown):
            table.add_row(host, *(self._cell(host, stage, now) for stage in self._stages))
        hidden = len(self._cells) - len(shown)
        return Group(title, table, *([Text(f"and {hidden} more", "dim")] if hidden else []))

    def _rank(self, host: str) -> int:
        if {"failed", "unreachable"} & set(self._cells[host].values()):
            return 0
        return 1 if host in self._busy else 2

    def _cell(self, host: str, stage: str, now: float) -> Text:
        from rich.text import Text

        at, since = self._busy.get(host, ("", 0.0))
        if at == stage:
            frame = self._spinner.render(now)
            return Text.assemble((str(frame), "cyan"), (f" {now - since:.0f} s", "cyan"))
        status = self._cells[host].get(stage, "")
        return Text(_MARKS.get(status, "·"), _STYLES.get(status, "dim"))


@contextlib.contextmanager
def host_progress(
    console: Console,
    hosts: Sequence[str],
    *,
    verbosity: int = 0,
    changes: bool = False,
    stages: Sequence[str] = (),
) -> Iterator[Progress]:
    """The progress that fits the console. `changes`: say what each task changes."""
    if not console.is_terminal:
        yield HostLines(console, verbose=verbosity > 0, changes=changes)
        return
    table = HostTable(console, hosts, verbose=verbosity > 0, changes=changes, stages=stages)
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
