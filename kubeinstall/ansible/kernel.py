"""Kernel modules and sysctls that pods need, now and after a reboot."""

from __future__ import annotations

import json
from pathlib import Path

from kubeinstall.ansible.commands import run
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.textfiles import ensure_text
from kubeinstall.errors import KubeinstallError

MODULES = ("overlay", "br_netfilter")
SYSCTL_FILE = Path("etc/sysctl.d/99-kubeinstall.conf")
MODULES_FILE = Path("etc/modules-load.d/kubeinstall.conf")
BEFORE_FILE = Path("var/lib/kubeinstall/sysctl-before.json")

# Key → (value, must it be there: bridge settings exist only with br_netfilter).
SETTINGS = {
    "net.ipv4.ip_forward": ("1", True),
    "net.ipv4.conf.all.forwarding": ("1", True),
    "net.bridge.bridge-nf-call-iptables": ("1", False),
    "net.bridge.bridge-nf-call-ip6tables": ("1", False),
    "fs.inotify.max_user_instances": ("1024", False),
    "fs.inotify.max_user_watches": ("524288", False),
}
# More than this is fine too: raised, never lowered.
_AT_LEAST = {"fs.inotify.max_user_instances", "fs.inotify.max_user_watches"}


def ensure_kernel(*, check: bool, root: Path = Path("/")) -> Outcome:
    """Load the modules, set the sysctls, and write both down for the next boot.

    The values that were there before are kept in `/var/lib/kubeinstall`, so that `reset` can
    put them back.
    """
    outcome = _load_modules(root, check=check)
    before: dict[str, str] = {}
    lines = []
    for key, (value, required) in SETTINGS.items():
        path = sysctl_path(root, key)
        if not path.exists():
            if required:
                raise KubeinstallError(f"sysctl {key}: this kernel does not have it")
            continue
        lines.append(f"{key} = {value}")
        current = path.read_text().strip()
        if current == value or (key in _AT_LEAST and int(current) >= int(value)):
            continue
        before[key] = current
        outcome.add(f"sysctl {key}: {current} → {value}")
        if not check:
            _set(path, key, value)
    if before and not check:
        _remember(root / BEFORE_FILE, before)
    text = "# Written by kubeinstall.\n" + "\n".join(lines) + "\n"
    outcome.extend(ensure_text(root / SYSCTL_FILE, text, check=check))
    modules = "# Written by kubeinstall.\n" + "\n".join(MODULES) + "\n"
    outcome.extend(ensure_text(root / MODULES_FILE, modules, check=check))
    return outcome


def restore_kernel(*, check: bool, root: Path = Path("/")) -> Outcome:
    """Undo `ensure_kernel`, as far as a running kernel can be undone."""
    outcome = Outcome()
    store = root / BEFORE_FILE
    before: dict[str, str] = json.loads(store.read_text()) if store.exists() else {}
    for key, value in reversed(before.items()):
        path = sysctl_path(root, key)
        if path.exists() and path.read_text().strip() != value:
            outcome.add(f"sysctl {key} → {value}")
            if not check:
                _set(path, key, value)
    for file in (SYSCTL_FILE, MODULES_FILE, BEFORE_FILE):
        if (root / file).exists():
            outcome.add(f"remove /{file}")
            if not check:
                (root / file).unlink()
    return outcome


def sysctl_path(root: Path, key: str) -> Path:
    """`net.ipv4.ip_forward` → /proc/sys/net/ipv4/ip_forward."""
    return root / "proc/sys" / key.replace(".", "/")


def _load_modules(root: Path, *, check: bool) -> Outcome:
    outcome = Outcome()
    have = (root / "proc/filesystems").read_text()
    present = {
        "overlay": "\toverlay\n" in have,
        "br_netfilter": sysctl_path(root, "net.bridge.bridge-nf-call-iptables").exists(),
    }
    if not (root / "lib/modules").is_dir():
        return outcome  # a kernel without modules has what it has
    for name in MODULES:
        if not present[name]:
            outcome.add(f"load kernel module {name}")
            if not check:
                run(["modprobe", name])
    return outcome


def _set(path: Path, key: str, value: str) -> None:
    try:
        path.write_text(value + "\n")
    except OSError as error:
        raise KubeinstallError(f"sysctl {key}: cannot be set: {error.strerror}") from error


def _remember(path: Path, before: dict[str, str]) -> None:
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**before, **known}, indent=1) + "\n")
