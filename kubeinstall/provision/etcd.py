"""etcd of this host, day to day: who is in it, how they do, snapshots, taking a member out."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from kubeinstall.ansible import etcd, paths
from kubeinstall.ansible.commands import CommandError, run
from kubeinstall.ansible.component_services import GROUPS
from kubeinstall.ansible.etcdctl import CTL, EtcdClient, Member
from kubeinstall.errors import KubeinstallError

_PKI = paths.KUBERNETES / "pki/etcd"
_STOP_SECONDS = 90.0
_SNAPSHOT_SECONDS = 600.0


@dataclass(frozen=True)
class MemberState:
    """A member and how it does; figures are 0 and `error` says why where it does not answer."""

    member: Member
    healthy: bool
    leader: bool = False
    version: str = ""
    size: int = 0
    index: int = 0
    error: str = ""


def local_settings() -> dict[str, Any]:
    """This host's etcd configuration; KubeinstallError where there is none."""
    if not etcd.CONFIG.exists():
        raise KubeinstallError(f"{etcd.CONFIG}: no such file; run this on a host of the group etcd")
    return yaml.safe_load(etcd.CONFIG.read_text()) or {}


def local_client() -> EtcdClient:
    """A client of the whole cluster, this host's member first."""
    own = str(local_settings()["advertise-client-urls"])
    alone = EtcdClient((own,), _PKI)
    try:
        others = [m.client_url for m in alone.members() if m.client_url and m.client_url != own]
    except CommandError:
        others = _known_to_server(own)
    return EtcdClient((own, *others), _PKI)


def _known_to_server(own: str) -> list[str]:
    """The members that this host's API server was told; empty where there is none."""
    if not paths.COMPONENTS.exists():
        return []
    settings = yaml.safe_load(paths.COMPONENTS.read_text()) or {}
    urls = str((settings.get("kube-apiserver") or {}).get("etcd-servers") or "")
    return [url for url in urls.split(",") if url and url != own]


def states(client: EtcdClient) -> list[MemberState]:
    """Every member's state, in the order of names."""
    return [_state(client, member) for member in sorted(client.members(), key=lambda m: m.name)]


def _state(client: EtcdClient, member: Member) -> MemberState:
    if not member.client_url:
        return MemberState(member, healthy=False, error="it has never started")
    try:
        text = client.run("endpoint", "status", "-w", "json", seconds=3, urls=[member.client_url])
    except CommandError as error:
        return MemberState(member, healthy=False, error=str(error).splitlines()[-1])
    status = json.loads(text)[0]["Status"]
    return MemberState(
        member,
        healthy=member.learner or client.healthy(member.client_url),
        leader=f"{int(status['leader']):x}" == member.id,
        version=status["version"],
        size=int(status["dbSize"]),
        index=int(status["raftIndex"]),
    )


def alarms(client: EtcdClient) -> list[str]:
    """Alarms that are raised (NOSPACE, CORRUPT), one line each."""
    return [line for line in client.run("alarm", "list").splitlines() if line.strip()]


def remove_member(client: EtcdClient, name: str, *, force: bool = False) -> Member:
    """Take a member out, by name or id. Refused where the rest would not have quorum."""
    every = states(client)
    wanted = [s for s in every if name in (s.member.name, s.member.id)]
    if not wanted:
        known = ", ".join(s.member.name or s.member.id for s in every)
        raise KubeinstallError(f'there is no etcd member "{name}"; there are {known}')
    gone = wanted[0].member
    rest = [s for s in every if s.member.id != gone.id and not s.member.learner]
    healthy = sum(s.healthy for s in rest)
    if not gone.learner and healthy < len(rest) // 2 + 1 and not force:
        raise KubeinstallError(
            f"{gone.name or gone.id} is not removed: of the {len(rest)} members left only {healthy} would be healthy, "
            "and the cluster would lose its quorum; bring them back first"
        )
    others = [s.member.client_url for s in rest if s.healthy] or list(client.urls)
    client.run("member", "remove", gone.id, urls=others)
    return gone


def save_snapshot(client: EtcdClient, path: Path) -> str:
    """Save one from this host's member and read it back; a line of figures. Private: it holds every Secret."""
    if path.exists():
        raise KubeinstallError(f"{path}: is there already; it is not overwritten")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.unlink()
    client.run("snapshot", "save", str(path), seconds=_SNAPSHOT_SECONDS, urls=client.urls[:1])
    path.chmod(0o600)
    found = snapshot_status(path)
    return f"revision {found['revision']}, {found['totalKey']} keys, {found['totalSize'] / 2**20:.1f} MB"


def snapshot_status(path: Path) -> dict[str, Any]:
    """`hash`, `revision`, `totalKey`, `totalSize` of a snapshot; CommandError when it is damaged."""
    text = run(
        [CTL, "snapshot", "status", str(path), "-w", "json"], environment={"ETCDCTL_API": "3"}
    )
    found: dict[str, Any] = json.loads(text)
    return found


def restore_snapshot(path: Path, members: Sequence[str] = ()) -> Path:
    """Put this host's member back to the snapshot; where its data of before is kept.

    `members` are `name=https://address:2380` of the cluster that is to be, all of them the same on every member's
    host; empty is what this member was first started with. etcd and what reads from it is stopped before and started
    after; it answers when most members are restored.
    """
    settings = local_settings()
    data = Path(settings["data-dir"])
    snapshot_status(path)
    cluster = ",".join(members) or str(settings["initial-cluster"])
    work = data / ".restore"
    shutil.rmtree(work, ignore_errors=True)
    run(
        [
            *(CTL, "snapshot", "restore", str(path)),
            *("--data-dir", str(work)),
            *("--name", str(settings["name"])),
            *("--initial-cluster", cluster),
            *(
                "--initial-cluster-token",
                f"{settings['initial-cluster-token']}-{path.stat().st_size:x}",
            ),
            *("--initial-advertise-peer-urls", str(settings["initial-advertise-peer-urls"])),
        ],
        seconds=_SNAPSHOT_SECONDS,
        environment={"ETCDCTL_API": "3"},
    )
    units = [name for group in GROUPS.values() for name in group]
    running = [name for name in units if _active(name)]
    run(["systemctl", "stop", *running, "etcd"], seconds=_STOP_SECONDS)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    kept = data / f"member.before-{stamp}"
    if (data / "member").exists():
        (data / "member").rename(kept)
    (work / "member").rename(data / "member")
    shutil.rmtree(work, ignore_errors=True)
    run(["systemctl", "start", "--no-block", "etcd", *running])
    return kept


def wait_healthy(client: EtcdClient, seconds: float) -> bool:
    """Whether this host's member answers a linearizable read within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if client.healthy(client.urls[0]):
            return True
        time.sleep(0.5)
    return False


def _active(name: str) -> bool:
    return run(["systemctl", "is-active", name], check=False).strip() == "active"
