"""Asking etcd's own client: members, health, snapshots. Certificates are the health check's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubeinstall.ansible.commands import CommandError, run

CTL = "/usr/bin/etcdctl"
_LEARNER = "isLearner"


@dataclass(frozen=True)
class Member:
    """One member. `name` is empty until it has started for the first time. `id` is hexadecimal."""

    id: str
    name: str
    peer_url: str
    client_url: str
    learner: bool


@dataclass(frozen=True)
class EtcdClient:
    """How to reach a cluster: client URLs, and the folder of certificates (`/etc/kubernetes/pki/etcd`)."""

    urls: tuple[str, ...]
    pki: Path

    def run(self, *words: str, seconds: float = 10.0, urls: Sequence[str] | None = None) -> str:
        """etcdctl's output; CommandError with its words when it fails."""
        command = [
            CTL,
            f"--endpoints={','.join(urls or self.urls)}",
            f"--cacert={self.pki}/ca.crt",
            f"--cert={self.pki}/healthcheck-client.crt",
            f"--key={self.pki}/healthcheck-client.key",
            f"--command-timeout={seconds:.0f}s",
            "--dial-timeout=2s",
            *words,
        ]
        return run(command, seconds=seconds + 10, environment={"ETCDCTL_API": "3"})

    def members(self, urls: Sequence[str] | None = None) -> list[Member]:
        """The member list, as the first endpoint that answers has it."""
        error: CommandError | None = None
        for url in urls or self.urls:
            try:
                return members_of(self.run("member", "list", "-w", "json", seconds=3, urls=[url]))
            except CommandError as caught:
                error = caught
        raise error or CommandError("no endpoint is given")

    def healthy(self, url: str, seconds: float = 3.0) -> bool:
        """Whether the member answers a linearizable read: it is up and the cluster has a leader."""
        try:
            self.run("endpoint", "health", seconds=seconds, urls=[url])
        except CommandError:
            return False
        return True


def members_of(text: str) -> list[Member]:
    """`member list -w json`; ids are numbers there and hexadecimal everywhere else."""
    found = json.loads(text).get("members") or []
    return [_member(entry) for entry in found]


def _member(entry: dict[str, Any]) -> Member:
    return Member(
        id=f"{int(entry['ID']):x}",
        name=str(entry.get("name") or ""),
        peer_url=next(iter(entry.get("peerURLs") or []), ""),
        client_url=next(iter(entry.get("clientURLs") or []), ""),
        learner=bool(entry.get(_LEARNER)),
    )
