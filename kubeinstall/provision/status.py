"""How the components on this host do."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kubeinstall.ansible import hostinfo
from kubeinstall.ansible.commands import run
from kubeinstall.ansible.component_services import GROUPS
from kubeinstall.ansible.services import supervised


@dataclass(frozen=True)
class ProcessState:
    """One process or unit. `seconds` is how long it has been up."""

    name: str
    state: str
    pid: int
    restarts: int
    seconds: int


def process_states() -> list[ProcessState]:
    """Of systemd's units, or of our supervisor's children; empty where none runs."""
    if hostinfo.under_systemd():
        names = ["containerd", *(name for group in GROUPS.values() for name in group)]
        return [state for state in map(_unit, names) if state is not None]
    return [
        ProcessState(p["name"], p["state"], p["pid"], p["restarts"], p["seconds"])
        for p in supervised()
    ]


def _unit(name: str) -> ProcessState | None:
    wanted = "LoadState,ActiveState,SubState,MainPID,NRestarts,ActiveEnterTimestampMonotonic"
    text = run(["systemctl", "show", f"{name}.service", f"--property={wanted}"], check=False)
    values = dict(line.partition("=")[::2] for line in text.splitlines())
    if values.get("LoadState") != "loaded":
        return None
    entered = int(values.get("ActiveEnterTimestampMonotonic") or 0) // 1_000_000
    active = values.get("ActiveState", "")
    return ProcessState(
        name,
        "ready" if active == "active" else values.get("SubState", active),
        int(values.get("MainPID") or 0),
        int(values.get("NRestarts") or 0),
        int(time.clock_gettime(time.CLOCK_MONOTONIC)) - entered if entered else 0,
    )
