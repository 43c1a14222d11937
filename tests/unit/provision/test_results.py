"""Two runs, one after the other, count as one."""

from __future__ import annotations

import pytest

from kubeinstall.provision.results import RunResult, TaskResult


def _run(ok: bool, task: str) -> RunResult:
    status = "changed" if ok else "failed"
    return RunResult(
        ok=ok,
        seconds=1.5,
        tasks=[TaskResult(host="a", role="members", task=task, status=status, seconds=1.0)],
        facts={task: ok},
        output=f"{task}\n",
    )


@pytest.mark.parametrize(("later", "failures"), [(True, []), (False, ["second"])])
def test_a_run_is_as_good_as_the_one_that_follows(later: bool, failures: list[str]) -> None:
    run = _run(ok=True, task="first")
    run.followed_by(_run(ok=later, task="second"))
    assert run.ok is later
    assert run.seconds == 3.0
    assert [task.task for task in run.tasks] == ["first", "second"]
    assert [task.task for task in run.failures] == failures
    assert run.facts == {"first": True, "second": later}
    assert run.output == "first\nsecond\n"
