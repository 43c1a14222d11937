"""Long-running processes of a host: systemd units where systemd is init, else our supervisor.

Both ways a service is described once (`Service`). What it depends on besides its command line (its
settings, its certificates) is given as `digest`; a new digest restarts just that service.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kubeinstall.ansible import hostinfo, paths
from kubeinstall.ansible.commands import run
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.textfiles import ensure_text
from kubeinstall.errors import KubeinstallError

_START_SECONDS = 20.0
_HEADER = "# Written by kubeinstall; changes are overwritten.\n"


@dataclass(frozen=True)
class Service:
    """`notify`: it says READY=1. `after`: services that systemd starts first."""

    name: str
    command: tuple[str, ...]
    description: str = ""
    digest: str = ""
    notify: bool = True
    after: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    #: systemd's KillMode: the kubelet's and containerd's children outlive a restart.
    keep_children: bool = False

    @property
    def full_environment(self) -> dict[str, str]:
        """The environment, digest included, so that a change of it is a change of the service."""
        digest = {"KUBEINSTALL_DIGEST": self.digest} if self.digest else {}
        return {**self.environment, **digest}


def ensure_services(services: Sequence[Service], *, check: bool, root: Path = Path("/")) -> Outcome:
    """Have the services written down, enabled and running; what differs is restarted."""
    if hostinfo.under_systemd(root):
        return _ensure_units(services, check=check)
    return _ensure_supervised(services, check=check)


def supervisor_running() -> bool:
    """Whether our supervisor answers."""
    return bool(_supervisor_pid())


def supervised() -> list[dict[str, Any]]:
    """State of every supervised process; empty when no supervisor runs."""
    if not supervisor_running():
        return []
    from kubeinstall.runtime.supervisor import ask

    return list(ask({"do": "status"}, run_dir=paths.RUN)["processes"])


def read_supervised(path: Path = paths.SUPERVISOR) -> list[dict[str, Any]]:
    """The processes in supervisor.yaml, as written."""
    if not path.exists():
        return []
    document = yaml.load(path.read_text(), Loader=yaml.CSafeLoader) or {}
    return list(document.get("processes") or [])


def restarts(name: str) -> int:
    """How often the service had to be started again."""
    if hostinfo.under_systemd():
        shown = ["systemctl", "show", f"{name}.service", "--property=NRestarts", "--value"]
        text = run(shown, check=False).strip()
        return int(text) if text.isdigit() else 0
    return next((int(p["restarts"]) for p in supervised() if p["name"] == name), 0)


def ready_at(unit: str, process: str) -> float:
    """When the service said that it is ready (seconds since 1970): of the unit under systemd, of
    our supervisor's process elsewhere. 0 when it has not."""
    if not hostinfo.under_systemd():
        return next((float(p["ready_at"]) for p in supervised() if p["name"] == process), 0.0)
    wanted = "ActiveEnterTimestampMonotonic"
    text = run(["systemctl", "show", f"{unit}.service", f"--property={wanted}", "--value"]).strip()
    since = time.clock_gettime(time.CLOCK_MONOTONIC) - int(text or 0) / 1e6
    return time.time() - since if int(text or 0) else 0.0


def last_words(name: str, lines: int = 6) -> str:
    """The end of a service's log, and where the whole is."""
    if hostinfo.under_systemd():
        where = f"journalctl -u {name}"
        tail = run(["journalctl", "-u", name, "-n", str(lines), "-o", "cat"], check=False).strip()
    else:
        path = paths.LOGS / f"{name}.log"
        where = str(path)
        text = path.read_text(errors="replace") if path.exists() else ""
        tail = "\n".join(text.splitlines()[-lines:])
    return f"{tail}\nIts log: {where}"


# systemd


def unit_text(service: Service) -> str:
    """The unit file of a service."""
    after = " ".join(["network-online.target", *(f"{name}.service" for name in service.after)])
    lines = [
        _HEADER.rstrip(),
        "[Unit]",
        f"Description={service.description or service.name}",
        "Documentation=https://kubernetes.io/docs/",
        f"After={after}",
        "Wants=network-online.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        f"Type={'notify' if service.notify else 'exec'}",
        f"ExecStart={' '.join(_quote(word) for word in service.command)}",
        *(f"Environment={_quote(f'{k}={v}')}" for k, v in service.full_environment.items()),
        "Restart=always",
        "RestartSec=1",
        "TimeoutStartSec=120",
        "LimitNOFILE=1048576",
        *(["KillMode=process", "Delegate=yes"] if service.keep_children else []),
        "",
        "[Install]",
        "WantedBy=multi-user.target",
        "",
    ]
    return "\n".join(lines)


def _quote(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if " " in escaped or escaped != word else word


def _ensure_units(services: Sequence[Service], *, check: bool) -> Outcome:
    outcome = Outcome()
    stale = []
    for service in services:
        written = ensure_text(
            paths.UNITS / f"{service.name}.service", unit_text(service), check=check
        )
        if written.changed:
            stale.append(service.name)
        outcome.extend(written)
    if stale and not check:
        run(["systemctl", "daemon-reload"])
    names = [service.name for service in services]
    down = [name for name in names if not unit_active(name)]
    disabled = [name for name in names if not _unit_enabled(name)]
    start = [name for name in names if name in stale or name in down]
    for name in start:
        outcome.add(f"{'start' if name in down else 'restart'} {name}.service")
    for name in disabled:
        outcome.add(f"enable {name}.service")
    if check:
        return outcome
    if disabled:
        run(["systemctl", "enable", "--quiet", *disabled])
    if start:
        # Not waited for: the components wait for each other, and readiness is asked for later.
        run(["systemctl", "restart", "--no-block", *start])
    return outcome


def unit_active(name: str) -> bool:
    """Whether systemd runs, or is starting, the unit."""
    state = run(["systemctl", "is-active", f"{name}.service"], check=False).strip()
    return state in ("active", "activating", "reloading")


def _unit_enabled(name: str) -> bool:
    return run(["systemctl", "is-enabled", f"{name}.service"], check=False).strip() == "enabled"


# Our supervisor


def _ensure_supervised(services: Sequence[Service], *, check: bool) -> Outcome:
    wanted = {service.name: _process(service) for service in services}
    kept = [wanted.pop(entry["name"], entry) for entry in read_supervised()]
    document = {"processes": [*kept, *wanted.values()]}
    text = _HEADER + yaml.safe_dump(document, sort_keys=False, width=1000)
    outcome = ensure_text(paths.SUPERVISOR, text, check=check)
    running = supervisor_running()
    if not running:
        outcome.add("start the supervisor")
    if check or not outcome.changed:
        return outcome
    if not running:
        start_supervisor()
        return outcome
    from kubeinstall.runtime.supervisor import ask

    answer = ask({"do": "reload"}, run_dir=paths.RUN)
    for name in answer["started"]:
        verb = "restart" if name in answer["stopped"] else "start"
        outcome.add(f"{verb} {name}")
    return outcome


def start_supervisor() -> None:
    """Start the supervisor as a process of its own, which outlives whoever asked for it."""
    paths.LOGS.mkdir(parents=True, exist_ok=True)
    with (paths.LOGS / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [*interpreter(), "component", "supervise", "--config", str(paths.SUPERVISOR)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if supervisor_running():
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    log_tail = (paths.LOGS / "supervisor.log").read_text(errors="replace").splitlines()[-5:]
    raise KubeinstallError("the supervisor did not start:\n" + "\n".join(log_tail))


def interpreter() -> list[str]:
    """How this installation of kubeinstall is run: its own interpreter. A runtime is run through `current`, so that
    switching that link is all that an upgrade, or the way back, takes."""
    unpacked = Path(sys.prefix).resolve().parent in paths.UNPACKED
    program = str(paths.RUNTIMES / "current/bin/python") if unpacked else sys.executable
    return [program, "-m", "kubeinstall"]


def _process(service: Service) -> dict[str, Any]:
    process: dict[str, Any] = {"name": service.name, "command": list(service.command)}
    if service.notify:
        process["notify"] = True
    if service.full_environment:
        process["environment"] = service.full_environment
    return process


def _supervisor_pid() -> int:
    try:
        pid = int((paths.RUN / "supervisor.pid").read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return 0
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    return pid if b"supervise" in command else 0
