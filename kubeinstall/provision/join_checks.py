"""Checks before a host joins: those of `init` that matter to it, and that it is not a node already."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubeinstall.ansible import paths
from kubeinstall.ansible.preflight import ERROR, WARNING, Finding, Host, findings
from kubeinstall.pki.files import write_atomic

Object = dict[str, Any]

#: There from the first change of a join until it is done; says which cluster it was to be.
MARKER = paths.STATE / "join.json"
#: kubeadm's: what a node of another cluster has.
FILES = ("kubelet.conf", "bootstrap-kubelet.conf")
_ADVICE = "this host is a node already, of this cluster or another: kubeinstall reset it first"


@dataclass(frozen=True)
class Unfinished:
    """A join that began here and did not end: its cluster's CA pin."""

    pin: str

    @classmethod
    def read(cls, marker: Path = MARKER) -> Unfinished | None:
        """None when no join began here, or it was finished."""
        try:
            return cls(str(json.loads(marker.read_text())["ca"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            return cls("")

    def write(self, marker: Path = MARKER) -> None:
        """Before the first change."""
        write_atomic(marker, json.dumps({"ca": self.pin}).encode() + b"\n", 0o600)


def join_findings(join: Object, *, root: Path = Path("/")) -> list[Finding]:
    """Everything that speaks against joining, in kubeadm's order. Talks to nobody."""
    plane = join.get("controlPlane")
    ports: tuple[int, ...] = (10250,)
    if plane is not None:
        ports = (plane["localAPIEndpoint"]["bindPort"], 10259, 10257, 10250, 2379, 2380)
    host = Host(
        root=root,
        node_name=join["nodeRegistration"]["name"],
        ports=ports,
        cri_socket=join["nodeRegistration"]["criSocket"],
    )
    return [*findings(host), *_files(join, root)]


def clock_finding(problem: str) -> Iterator[Finding]:
    """The clock's, once the API server's is known."""
    if problem:
        yield Finding(
            ERROR,
            "ClockSkew",
            problem,
            "set it (timedatectl set-ntp true, or chronyd -q), certificates and tokens depend on it",
        )


def _files(join: Object, root: Path) -> Iterator[Finding]:
    marker = root / str(MARKER).lstrip("/")
    if Unfinished.read(marker) is not None:
        yield Finding(
            WARNING, "UnfinishedJoin", "an earlier join did not finish here; it goes on from there"
        )
        return
    names = [str(paths.KUBERNETES / name) for name in FILES]
    for path in (*names, join["caCertPath"]):
        relative = path.lstrip("/")
        if (root / relative).exists():
            name = relative.replace("/", "-")
            yield Finding(ERROR, f"FileAvailable--{name}", f"{path} already exists", _ADVICE)


def shown(found: Sequence[Finding]) -> str:
    """Warnings as kubeadm prints them."""
    return "\n".join(f"\t{line}" for finding in found for line in str(finding).splitlines())
