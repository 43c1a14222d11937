"""containerd's configuration: what Kubernetes needs is merged into what is there.

An existing file keeps every setting that does not stand in the way; before the first change it
is kept beside as `config.toml.before-kubeinstall`, and `reset` puts it back.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubeinstall.ansible import hostinfo
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.toml import dump_toml
from kubeinstall.errors import KubeinstallError
from kubeinstall.pki.files import write_atomic

CONFIG = Path("/etc/containerd/config.toml")
BACKUP_SUFFIX = ".before-kubeinstall"
_CRI = "io.containerd.grpc.v1.cri"
_HEADER = "# Written by kubeinstall; settings of the file that was here before are kept.\n"


@dataclass(frozen=True)
class Wanted:
    """What the CRI plugin must be told."""

    sandbox_image: str
    cni_bin_dir: str = "/usr/lib/cni"
    cni_conf_dir: str = "/etc/cni/net.d"


def required(wanted: Wanted, root: Path = Path("/")) -> dict[str, Any]:
    """The settings that Kubernetes needs on this host."""
    systemd_cgroup = hostinfo.under_systemd(root) and hostinfo.cgroup_version(root) == 2
    cri: dict[str, Any] = {
        "sandbox_image": wanted.sandbox_image,
        "cni": {"bin_dir": wanted.cni_bin_dir, "conf_dir": wanted.cni_conf_dir},
        "containerd": {
            "default_runtime_name": "runc",
            "runtimes": {
                "runc": {
                    "runtime_type": "io.containerd.runc.v2",
                    "options": {"SystemdCgroup": systemd_cgroup},
                }
            },
        },
    }
    if not hostinfo.may_lower_oom_score(root):
        # Without CAP_SYS_RESOURCE every sandbox fails: its OOM score cannot be lowered.
        cri["restrict_oom_score_adj"] = True
    return {"version": 2, "plugins": {_CRI: cri}}


def merged(existing: dict[str, Any], needed: dict[str, Any]) -> dict[str, Any]:
    """`existing` with `needed` laid over it, and the CRI plugin enabled."""
    result = _lay_over(existing, needed)
    disabled = result.get("disabled_plugins") or []
    if "cri" in disabled or _CRI in disabled:
        # Docker's packages disable the plugin that Kubernetes speaks to.
        result["disabled_plugins"] = [name for name in disabled if name not in ("cri", _CRI)]
    return result


def ensure_config(
    wanted: Wanted, *, check: bool, path: Path = CONFIG, root: Path = Path("/")
) -> Outcome:
    """Bring the file to what is needed; nothing is written when it already says all that."""
    outcome = Outcome()
    before = path.read_text() if path.exists() else ""
    try:
        existing = tomllib.loads(before)
    except tomllib.TOMLDecodeError as error:
        raise KubeinstallError(f"{path}: not valid TOML: {error}; repair or remove it") from error
    if existing.get("version", 2 if not before else 1) not in (2, 3):
        raise KubeinstallError(f"{path}: its version must be 2 (containerd config migrate)")
    result = merged(existing, {**required(wanted, root), "version": existing.get("version", 2)})
    if result == existing:
        return outcome
    after = _HEADER + dump_toml(result)
    backup = path.with_name(path.name + BACKUP_SUFFIX)
    if before and not backup.exists():
        outcome.add(f"keep {path} as {backup.name}")
        if not check:
            write_atomic(backup, before.encode(), 0o644)
    outcome.add_file(str(path), before, after)
    if not check:
        write_atomic(path, after.encode(), 0o644)
    return outcome


def restore_config(path: Path = CONFIG, *, check: bool) -> Outcome:
    """Undo `ensure_config`: the kept file comes back; a file of ours alone goes."""
    outcome = Outcome()
    backup = path.with_name(path.name + BACKUP_SUFFIX)
    if backup.exists():
        outcome.add(f"restore {path}")
        if not check:
            backup.replace(path)
    elif path.exists() and path.read_text().startswith(_HEADER):
        outcome.add(f"remove {path}")
        if not check:
            path.unlink()
    return outcome


def _lay_over(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _lay_over(result[key], value)
        else:
            result[key] = value
    return result
