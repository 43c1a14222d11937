"""containerd as a service: a running one is used, and restarted only for a changed configuration."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

from kubeinstall.ansible import containerd, hostinfo
from kubeinstall.ansible.commands import run
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.paths import COMPONENTS, STATE
from kubeinstall.ansible.services import (
    Service,
    ensure_services,
    read_supervised,
    unit_active,
)
from kubeinstall.ansible.textfiles import ensure_text
from kubeinstall.errors import KubeinstallError
from kubeinstall.pki.files import write_atomic

NAME = "containerd"
SOCKET = Path("/run/containerd/containerd.sock")
DATA = Path("/var/lib/containerd")
#: There while containerd's data is older than our use of it.
KEEP_DATA = STATE / "containerd-data-was-here"
#: How the unit was before the first time that we started it.
UNIT_BEFORE = STATE / "containerd-unit-before.json"
#: How the containerd was started that ran here before ours and was stopped for it.
REPLACED = STATE / "containerd-before.json"
_READY_SECONDS = 30.0
_STOP_SECONDS = 20.0


def ensure_runtime(wanted: containerd.Wanted, *, check: bool) -> Outcome:
    """Configuration, then a containerd that runs with it and answers on its socket."""
    outcome = containerd.ensure_config(wanted, check=check)
    restart = outcome.changed
    if hostinfo.under_systemd():
        outcome.extend(_under_systemd(restart=restart, check=check))
    else:
        outcome.extend(_without_systemd(restart=restart, check=check))
    if not check:
        wait_for_socket()
    return outcome


def wait_for_socket(path: Path = SOCKET) -> None:
    """Return when containerd takes connections."""
    deadline = time.monotonic() + _READY_SECONDS
    while socket_owner(path) is None:
        if time.monotonic() > deadline:
            raise KubeinstallError(
                f"containerd does not answer on {path} after {_READY_SECONDS:.0f} s; see its log "
                "(journalctl -u containerd, or /var/log/kubernetes/containerd.log)"
            )
        time.sleep(0.05)


def socket_owner(path: Path = SOCKET) -> int | None:
    """Process id of who listens on the socket; None when nobody does."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(2)
            probe.connect(str(path))
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    except OSError:
        return None
    return int(struct.unpack("3i", credentials)[0])


def will_answer(path: Path = SOCKET) -> bool:
    """Whether asking containerd makes sense: somebody listens, or its unit is starting, or may be.

    `ctr` waits ten seconds for one that does not run.
    """
    if socket_owner(path) is not None:
        return True
    if hostinfo.under_systemd():
        state = run(["systemctl", "is-active", NAME], check=False).strip()
        return state in ("active", "activating", "reloading")
    return path.exists()


def _under_systemd(*, restart: bool, check: bool) -> Outcome:
    outcome = Outcome()
    active = unit_active(NAME)
    if active and not restart:
        return outcome
    outcome.add(f"{'restart' if active else 'start'} {NAME}.service")
    if not check:
        _remember_unit(active=active)
        run(["systemctl", "enable", "--quiet", NAME])
        run(["systemctl", "restart", NAME])
    return outcome


def _remember_unit(*, active: bool) -> None:
    """Note, the first time, how the unit was before us: `reset` leaves it so."""
    if UNIT_BEFORE.exists() or COMPONENTS.exists():  # by now it is our doing
        return
    enabled = run(["systemctl", "is-enabled", f"{NAME}.service"], check=False).strip() == "enabled"
    data = (DATA / "io.containerd.metadata.v1.bolt/meta.db").exists()
    text = json.dumps({"active": active, "enabled": enabled, "data": data})
    write_atomic(UNIT_BEFORE, text.encode(), 0o600)


def unit_before() -> dict[str, bool]:
    """Whether the unit was `active` and `enabled`, and had `data`; empty when that was not noted."""
    return dict(json.loads(UNIT_BEFORE.read_text())) if UNIT_BEFORE.exists() else {}


def _without_systemd(*, restart: bool, check: bool) -> Outcome:
    outcome = Outcome()
    ours = any(entry["name"] == NAME for entry in read_supervised())
    owner = socket_owner()
    if not ours and owner is not None:
        if not restart:
            return outcome  # somebody else keeps a containerd that suits us
        outcome.add(f"stop the containerd that runs as process {owner}")
        if not check:
            remember(owner)
            _stop(owner)
    if not ours and (DATA / "io.containerd.metadata.v1.bolt/meta.db").exists():
        # Somebody's images and containers were here before us: reset must leave them.
        outcome.extend(ensure_text(KEEP_DATA, "kept by kubeinstall reset\n", check=check))
    binary = shutil.which("containerd") or "/usr/bin/containerd"
    digest = containerd.CONFIG.read_text() if containerd.CONFIG.exists() else ""
    service = Service(NAME, (binary,), digest=_short(digest), notify=True)
    outcome.extend(ensure_services([service], check=check))
    return outcome


def remember(pid: int) -> None:
    """Note how somebody's containerd was started, so that `reset` can start it again."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    # Where it is: what it was started by may have been found on a path that is not ours.
    program = str(Path(f"/proc/{pid}/exe").readlink())
    folder = str(Path(f"/proc/{pid}/cwd").readlink())
    REPLACED.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"program": program, "command": command, "folder": folder})
    write_atomic(REPLACED, text.encode(), 0o600)


def replaced() -> str:
    """The command line of the containerd that ran here before ours; empty where none did."""
    return " ".join(json.loads(REPLACED.read_text())["command"]) if REPLACED.exists() else ""


def start_replaced() -> None:
    """Start it again as it was, and return when it takes connections."""
    known = json.loads(REPLACED.read_text())
    if socket_owner() is None:
        # Nobody's child but init's: it outlives whoever resets the host.
        subprocess.run(
            ["setsid", "--fork", known["program"], *known["command"][1:]],
            cwd=known["folder"] if Path(known["folder"]).is_dir() else "/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    wait_for_socket()


def _short(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _stop(pid: int) -> None:
    """SIGTERM and wait. Containers go on: their shims are processes of their own."""
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            raise KubeinstallError(f"containerd (process {pid}) does not end; stop it by hand")
        time.sleep(0.05)
