"""Running a playbook through ansible-runner, event by event."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from kubeinstall.errors import KubeinstallError
from kubeinstall.provision.interrupt import interruptible
from kubeinstall.provision.logfile import write_log
from kubeinstall.provision.results import RunResult, TaskResult
from kubeinstall.provision.share import collections, shared

_FINISHED = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
    "runner_on_skipped": "skipped",
}
# What Ansible itself adds to a result, and what is shown elsewhere.
_NOT_FACTS = {"changed", "changes", "diff", "invocation", "msg", "warnings", "deprecations"}


_PREFIX = "kubeinstall-play-"


class Progress(Protocol):
    """Shows a run while it happens."""

    def task_started(self, role: str, task: str) -> None:
        """A task begins on its hosts."""

    def host_started(self, host: str, role: str) -> None:
        """The task begins on one host."""

    def task_finished(self, result: TaskResult) -> None:
        """A task ended on one host."""

    def output(self, line: str) -> None:
        """A line of Ansible's own output."""


@dataclass
class Play:
    """What to run. `inventory` is Ansible's inventory data, or `inventory_path` names it; `variables` become extra
    vars; `limit` names the hosts that take part, all if it is empty."""

    playbook: str
    inventory: dict[str, Any]
    variables: dict[str, Any]
    tags: Sequence[str] = ()
    skip_tags: Sequence[str] = ()
    check: bool = False
    diff: bool = False
    verbosity: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    inventory_path: Path | None = None
    limit: Sequence[str] = ()


def local_inventory(group: str = "kube_control_plane") -> dict[str, Any]:
    """This host, run with the interpreter that kubeinstall itself is installed in."""
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    return {"all": {"children": {group: {"hosts": {"localhost": host}}}}}


def run_play(play: Play, progress: Progress) -> RunResult:
    """Run it to its end. Extra variables (they may hold a token) go through a private file.

    KeyboardInterrupt when somebody ended it; its argument says where the log is.
    """
    result = RunResult()
    started = time.monotonic()
    collector = _Collector(result, progress)
    _remove_abandoned()
    with (
        tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as folder,
        interruptible() as interrupt,
    ):
        run = _start(
            cancel_callback=interrupt.kill,
            private_data_dir=folder,
            playbook=str(shared("playbooks") / f"{play.playbook}.yml"),
            inventory=play.inventory or None,
            extravars=play.variables,
            cmdline=_command_line(play),
            envvars={**_environment(Path(folder)), **play.environment},
            verbosity=play.verbosity or None,
            quiet=True,
            event_handler=collector.handle,
        )
        if run.rc != 0 and not result.failures:
            collector.lines.append(_last_output(run))
    result.ok = run.rc == 0
    result.seconds = time.monotonic() - started
    result.output = "\n".join(collector.lines)
    if interrupt.asked and not result.ok:
        raise KeyboardInterrupt(f"the log so far: {write_log(play.playbook, result)}")
    return result


def _start(**options: Any) -> Any:
    """Run Ansible to its end, on a pseudo-terminal: so its output comes line by line."""
    import ansible_runner

    try:
        return ansible_runner.interface.run(**options)
    except OSError as error:
        raise KubeinstallError(
            f"Ansible cannot be started: {error} (it needs /dev/pts mounted, and room in "
            f"{tempfile.gettempdir()})"
        ) from error


def _remove_abandoned() -> None:
    """Folders of runs that were killed: they hold variables, a token among them perhaps."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _command_line(play: Play) -> str:
    words = []
    if play.check:
        words.append("--check")
    if play.check or play.diff:
        words.append("--diff")
    if play.tags:
        words += ["--tags", ",".join(play.tags)]
    if play.inventory_path is not None:
        words += ["--inventory", shlex.quote(str(play.inventory_path))]
    if play.limit:
        words += ["--limit", ",".join(play.limit)]
    if play.skip_tags:
        words += ["--skip-tags", ",".join(play.skip_tags)]
    return " ".join(words)


def _environment(folder: Path) -> dict[str, str]:
    empty = folder / "empty.cfg"
    empty.touch()
    return {
        # ansible-playbook stands beside our interpreter, which need not be on the path.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "ANSIBLE_CONFIG": str(empty),  # a stray ansible.cfg must not change what we do
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_COLLECTIONS_PATH": str(collections()),
        "ANSIBLE_ROLES_PATH": str(shared("roles")),
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_FORKS": "20",
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_INJECT_FACT_VARS": "0",
        "ANSIBLE_CALLBACKS_ENABLED": "kubeinstall.cluster.bound",
        "KUBEINSTALL_CONTROLLER": str(os.getpid()),
        "PYTHONWARNINGS": "ignore",
    }


class _Collector:
    """Turns events into results."""

    def __init__(self, result: RunResult, progress: Progress) -> None:
        self._result = result
        self._progress = progress
        self.lines: list[str] = []

    def handle(self, event: dict[str, Any]) -> bool:
        """One event; False keeps ansible-runner from storing it in a file of its own."""
        text = event.get("stdout") or ""
        if text:
            self.lines.append(text)
            self._progress.output(text)
        kind, data = event.get("event", ""), event.get("event_data") or {}
        if kind == "playbook_on_task_start" and not _is_argument_check(data):
            self._progress.task_started(data.get("role") or "", data.get("task") or "")
        elif kind == "runner_on_start" and not _is_argument_check(data):
            self._progress.host_started(str(data.get("host", "")), str(data.get("role") or ""))
        elif kind in _FINISHED and not _is_argument_check(data):
            finished = self._finished(_FINISHED[kind], data)
            self._result.tasks.append(finished)
            self._progress.task_finished(finished)
        return False

    def _finished(self, status: str, data: dict[str, Any]) -> TaskResult:
        answer = data.get("res") or {}
        if status == "ok" and answer.get("changed"):
            status = "changed"
        if status in ("ok", "changed"):
            facts = {k: v for k, v in answer.items() if not k.startswith("_")}
            self._result.facts.update({k: v for k, v in facts.items() if k not in _NOT_FACTS})
        diffs = answer.get("diff") or []
        return TaskResult(
            host=str(data.get("host", "")),
            role=str(data.get("role") or ""),
            task=str(data.get("task") or ""),
            status=status,
            seconds=float(data.get("duration") or 0.0),
            changes=tuple(answer.get("changes") or ()),
            warnings=tuple(answer.get("warnings") or ()),
            message=_message(answer) if status in ("failed", "unreachable") else "",
            diffs=tuple(diffs if isinstance(diffs, list) else [diffs]),
        )


def _is_argument_check(data: dict[str, Any]) -> bool:
    # Ansible's own check of a role's arguments is a task too; only its failure is worth a line.
    name = str(data.get("task") or "")
    failed = bool((data.get("res") or {}).get("failed"))
    return name.startswith("Validating arguments against arg spec") and not failed


def _message(answer: dict[str, Any]) -> str:
    parts = [str(answer.get("msg") or "")]
    for name in ("argument_errors", "module_stderr", "stderr", "exception"):
        value = answer.get(name)
        if value and value != "(traceback unavailable)":
            parts.append("\n".join(value) if isinstance(value, list) else str(value))
    return "\n".join(part for part in parts if part).strip() or "no message"


def _last_output(run: Any) -> str:
    with run.stdout as stream:
        return str(stream.read())
