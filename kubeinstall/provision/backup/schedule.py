"""Backups by themselves: a systemd timer, or a process of our supervisor; and how many are kept."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

from kubeinstall.ansible import hostinfo, paths
from kubeinstall.ansible.commands import run
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.services import Service, ensure_services, interpreter
from kubeinstall.ansible.textfiles import ensure_text
from kubeinstall.config.durations import parse_duration
from kubeinstall.errors import KubeinstallError
from kubeinstall.provision.backup.create import create_backup
from kubeinstall.provision.backup.manifest import BackupError, Manifest

UNIT = "kubeinstall-backup"
_NAME = re.compile(r"kubeinstall-.+-\d{8}T\d{6}Z\.backup")
_HEADER = "# Written by kubeinstall; changes are overwritten.\n"


def run_once(
    directory: Path, keep: int, passphrase: bytes = b""
) -> tuple[Path, Manifest, list[Path]]:
    """Make a backup with a name of this moment, then remove all but the newest `keep` of this host's."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    path = directory / f"kubeinstall-{socket.gethostname()}-{stamp}.backup"
    manifest = create_backup(path, passphrase)
    return path, manifest, prune(directory, keep)


def prune(directory: Path, keep: int) -> list[Path]:
    """Remove the oldest of this host's scheduled backups; only files of their names are looked at."""
    if keep < 1:
        raise BackupError("at least one backup must be kept")
    prefix = f"kubeinstall-{socket.gethostname()}-"
    found = sorted(
        path
        for path in directory.iterdir()
        if path.name.startswith(prefix) and _NAME.fullmatch(path.name)
    )
    gone = found[:-keep]
    for path in gone:
        path.unlink()
    return gone


def run_forever(
    directory: Path, keep: int, every: str, passphrase: bytes, say: Callable[[str], None]
) -> None:
    """Where there is no systemd: a backup at once and every so often; one that fails is told, and the next tried."""
    seconds = parse_duration(every).total_seconds()
    if seconds < 60:
        raise BackupError("the time between backups must be at least 1m")
    while True:
        try:
            path, manifest, gone = run_once(directory, keep, passphrase)
            say(f"wrote {path}: {manifest.objects} objects; removed {len(gone)} old")
        except (KubeinstallError, OSError) as error:
            say(f"no backup: {error}")
        time.sleep(seconds)


def ensure_schedule(
    directory: Path, keep: int, every: str, passphrase_file: Path | None, *, check: bool = False
) -> Outcome:
    """Have backups made every `every` (a Go duration)."""
    seconds = int(parse_duration(every).total_seconds())
    if seconds < 60:
        raise BackupError("the time between backups must be at least 1m")
    command = [*interpreter(), "backup", "run", "--directory", str(directory), "--keep", str(keep)]
    if passphrase_file is not None:
        command += ["--passphrase-file", str(passphrase_file)]
    if not hostinfo.under_systemd():
        service = Service(
            UNIT, (*command, "--every", every), description="Backups of the cluster", notify=False
        )
        return ensure_services([service], check=check)
    outcome = ensure_text(paths.UNITS / f"{UNIT}.service", _service_text(command), check=check)
    outcome.extend(ensure_text(paths.UNITS / f"{UNIT}.timer", _timer_text(seconds), check=check))
    if outcome.changed and not check:
        run(["systemctl", "daemon-reload"])
        run(["systemctl", "enable", "--quiet", f"{UNIT}.timer"])
        run(["systemctl", "restart", f"{UNIT}.timer"])
    return outcome


def end_schedule() -> Outcome:
    """No more backups by themselves; those that are there stay."""
    outcome = Outcome()
    if not hostinfo.under_systemd():
        import yaml

        from kubeinstall.ansible.services import read_supervised
        from kubeinstall.runtime.supervisor import ask

        entries = read_supervised()
        kept = [entry for entry in entries if entry["name"] != UNIT]
        if kept != entries:
            paths.SUPERVISOR.write_text(_HEADER + yaml.safe_dump({"processes": kept}))
            ask({"do": "reload"}, run_dir=paths.RUN)
            outcome.add(f"stop {UNIT}")
        return outcome
    units = [paths.UNITS / f"{UNIT}.{kind}" for kind in ("timer", "service")]
    if units[0].exists():
        run(["systemctl", "disable", "--now", "--quiet", f"{UNIT}.timer"])
        outcome.add(f"stop {UNIT}.timer")
    for path in units:
        path.unlink(missing_ok=True)
    if outcome.changed:
        run(["systemctl", "daemon-reload"])
    return outcome


def _service_text(command: list[str]) -> str:
    return (
        f"{_HEADER}[Unit]\nDescription=Backup of the Kubernetes cluster\nAfter=kube-apiserver.service\n\n"
        f"[Service]\nType=oneshot\nExecStart={' '.join(command)}\nNice=10\nIOSchedulingClass=idle\n"
    )


def _timer_text(seconds: int) -> str:
    return (
        f"{_HEADER}[Unit]\nDescription=Backups of the Kubernetes cluster\n\n"
        f"[Timer]\nOnActiveSec=30\nOnUnitActiveSec={seconds}\nAccuracySec=30\n\n[Install]\nWantedBy=timers.target\n"
    )
