"""A timer on each member of etcd: snapshots with retention, and defragmentation when it is worth it."""

from __future__ import annotations

from typing import Any

from kubeinstall.ansible import hostinfo, paths
from kubeinstall.ansible.commands import run
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.services import interpreter
from kubeinstall.ansible.textfiles import ensure_text
from kubeinstall.config.durations import parse_duration

Object = dict[str, Any]

NAME = "kubeinstall-etcd"
DIRECTORY = "/var/backups/kubeinstall/etcd"
#: `kubeinstall_etcd_upkeep` of the inventory, where it says nothing else.
DEFAULTS: Object = {"every": "24h", "keep": 7, "directory": DIRECTORY}
_HEADER = "# Written by kubeinstall; changes are overwritten.\n"


def ensure_timer(config: Object, *, check: bool) -> Outcome:
    """Have it as the inventory says; `every` of "0" is none at all, and the snapshots that are there stay."""
    wanted = config["host"]["etcd"].get("upkeep")
    if wanted is None or not hostinfo.under_systemd():
        return Outcome()
    seconds = int(parse_duration(str(wanted["every"])).total_seconds())
    units = [paths.UNITS / f"{NAME}.{kind}" for kind in ("service", "timer")]
    if not seconds:
        return end_timer(check=check)
    command = [*interpreter(), "etcd", "upkeep", "--directory", wanted["directory"]]
    command += ["--keep", str(wanted["keep"])]
    outcome = ensure_text(units[0], _service_text(command), check=check)
    outcome.extend(ensure_text(units[1], _timer_text(seconds), check=check))
    if outcome.changed and not check:
        run(["systemctl", "daemon-reload"])
        run(["systemctl", "enable", "--quiet", f"{NAME}.timer"])
        run(["systemctl", "restart", f"{NAME}.timer"])
    return outcome


def end_timer(*, check: bool) -> Outcome:
    """No timer any more."""
    outcome = Outcome()
    units = [paths.UNITS / f"{NAME}.{kind}" for kind in ("timer", "service")]
    if not units[0].exists():
        return outcome
    outcome.add(f"stop and remove {NAME}.timer")
    if not check:
        run(["systemctl", "disable", "--now", "--quiet", f"{NAME}.timer"])
        for path in units:
            path.unlink(missing_ok=True)
        run(["systemctl", "daemon-reload"])
    return outcome


def _service_text(command: list[str]) -> str:
    return (
        f"{_HEADER}[Unit]\nDescription=Snapshots and upkeep of etcd\nAfter=etcd.service\n\n"
        f"[Service]\nType=oneshot\nExecStart={' '.join(command)}\nNice=10\nIOSchedulingClass=idle\n"
    )


def _timer_text(seconds: int) -> str:
    # Members must not all be at it at once: each waits for a time of its own.
    delay = min(seconds // 4, 1800)
    return (
        f"{_HEADER}[Unit]\nDescription=Snapshots and upkeep of etcd\n\n"
        f"[Timer]\nOnActiveSec={min(seconds, 900)}\nOnUnitActiveSec={seconds}\nRandomizedDelaySec={delay}\n"
        "AccuracySec=10\n\n[Install]\nWantedBy=timers.target\n"
    )
