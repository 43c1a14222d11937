"""Where the kubelet keeps what, as upstream lays it out under its root directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Paths:
    """`root` is --root-dir, `logs` is podLogsDir."""

    root: Path
    logs: Path

    @property
    def pods(self) -> Path:
        """The folders of all pods."""
        return self.root / "pods"

    @property
    def seccomp(self) -> Path:
        """Where Localhost seccomp profiles are looked for."""
        return self.root / "seccomp"

    @property
    def log_links(self) -> Path:
        """`/var/log/containers`: links that log collectors follow."""
        return self.logs.parent / "containers"

    def pod(self, uid: str) -> Path:
        """One pod's folder."""
        return self.pods / uid

    def volume(self, uid: str, plugin: str, name: str) -> Path:
        """One volume; `plugin` such as "empty-dir"."""
        return self.pod(uid) / "volumes" / f"kubernetes.io~{plugin}" / name

    def subpath(self, uid: str, volume: str, container: str, index: int) -> Path:
        """Where a part of a volume is bound for one volumeMount."""
        return self.pod(uid) / "volume-subpaths" / volume / container / str(index)

    def container(self, uid: str, name: str) -> Path:
        """One container's folder, which holds its termination messages."""
        return self.pod(uid) / "containers" / name

    def hosts(self, uid: str) -> Path:
        """The pod's /etc/hosts."""
        return self.pod(uid) / "etc-hosts"
