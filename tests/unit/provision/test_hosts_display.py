"""A run over several hosts, as it is shown: wide, narrow, and when it fails."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from kubeinstall.provision.display import show_failures
from kubeinstall.provision.hosts_display import STAGES, HostLines, HostTable, host_progress
from kubeinstall.provision.results import RunResult, TaskResult

HOSTS = [f"node-{number}.example.test" for number in range(40)]


def console(width: int, height: int = 24, *, terminal: bool = True) -> Console:
    return Console(
        file=io.StringIO(), width=width, height=height, force_terminal=terminal, soft_wrap=False
    )


def shown(table: HostTable, at: Console) -> list[str]:
    plain = Console(file=io.StringIO(), width=at.width, height=at.height)
    plain.print(table._render())
    assert isinstance(plain.file, io.StringIO)
    return plain.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 160])
def test_the_table_fits_the_terminal(width: int) -> None:
    at = console(width)
    table = HostTable(at, HOSTS, stages=STAGES)
    table.task_started("servers", "Run etcd and the control plane, as long as this name may be")
    for host in HOSTS:
        table.host_started(host, "servers")
    table.task_finished(TaskResult(HOSTS[-1], "servers", "Run it", "failed", 1.0))
    table.task_finished(TaskResult(HOSTS[0], "bootstrap", "Bring it", "changed", 1.0))
    lines = shown(table, at)
    assert len(lines) <= at.height
    assert all(len(line) <= width for line in lines)
    assert lines[0].startswith("[servers] Run etcd")
    assert " s, all " in lines[0]
    assert lines[1].split() == ["host", *STAGES]
    assert any(line.startswith(HOSTS[-1]) and "FAILED" in line for line in lines)
    assert lines[-1].strip().startswith("and ")


def test_a_cell_says_what_the_host_is_at() -> None:
    at = console(80)
    table = HostTable(at, ["a", "b"], stages=STAGES)
    table.host_started("a", "machine")
    table.task_finished(TaskResult("a", "bootstrap", "Bring it", "ok", 1.0))
    table.host_started("a", "machine")
    rows = {line.split()[0]: line.split()[1:] for line in shown(table, at)[2:]}
    assert rows["a"][0] == "ok"
    assert rows["a"][2:4] == ["0", "s"]
    assert rows["b"] == ["·"] * len(STAGES)


def test_stages_of_other_plays_appear_when_they_begin() -> None:
    at = console(80)
    table = HostTable(at, ["a"])
    table.task_finished(TaskResult("a", "reset", "Take it off", "changed", 1.0))
    table.task_finished(TaskResult("a", "", "Remove the runtime", "changed", 1.0))
    assert shown(table, at)[1].split() == ["host", "reset", "play"]


def test_no_terminal_means_plain_lines() -> None:
    at = console(80, terminal=False)
    with host_progress(at, ["a"], changes=True) as progress:
        assert type(progress) is HostLines
        progress.task_finished(
            TaskResult("a", "machine", "Prepare", "changed", 2.0, changes=("write /x",))
        )
    assert isinstance(at.file, io.StringIO)
    assert at.file.getvalue() == "a: [machine] Prepare: changed (2.0 s)\n    write /x\n"


def test_hosts_with_the_same_trouble_are_named_together() -> None:
    at = console(200, terminal=False)
    tasks = [
        TaskResult(name, "bootstrap", "Look at the host", "failed", 1.0, message="it has\nno room")
        for name in "abc"
    ]
    tasks.append(TaskResult("d", "bootstrap", "Look", "unreachable", 1.0, message="no route"))
    show_failures(at, RunResult(tasks=tasks), "/the/log")
    assert isinstance(at.file, io.StringIO)
    said = at.file.getvalue()
    assert "a, b, c: [bootstrap] Look at the host: FAILED\n  it has\n  no room\n" in said
    assert said.count("no room") == 1
    assert "d: [bootstrap] Look: UNREACHABLE\n  no route\n" in said


def test_many_failures_stay_on_one_screen() -> None:
    at = console(200, terminal=False)
    tasks = [
        TaskResult(host, "machine", "Prepare", "failed", 1.0, message="\n".join([host] * 50))
        for host in HOSTS
    ]
    show_failures(at, RunResult(tasks=tasks), "/the/log")
    assert isinstance(at.file, io.StringIO)
    said = at.file.getvalue()
    assert said.count("\n") < 45
    assert "and 36 more, which the log has" in said
