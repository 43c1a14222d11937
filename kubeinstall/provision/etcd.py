"""etcd of this host, day to day: who is in it, how they do, snapshots, taking a member out."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from kubeinstall.ansible import etcd, paths
from kubeinstall.ansible.commands import CommandError, run
from kubeinstall.ansible.component_services import GROUPS
from kubeinstall.ansible.etcdctl import CTL, EtcdClient, Member
from kubeinstall.errors import KubeinstallError
from kubeinstall.provision.backup.snapshot import check_hash, move_on, read_snapshot, take_snapshot

_PKI = paths.KUBERNETES / "pki/etcd"
_STOP_SECONDS = 90.0
_SNAPSHOT_SECONDS = 600.0


@dataclass(frozen=True)
class MemberState:
    """A member and how it does; figures are 0 and `error` says why where it does not answer.

    `size` is that of its file in bytes, of which `in_use` hold something.
    """

    member: Member
    healthy: bool
    leader: bool = False
    version: str = ""
    size: int = 0
    in_use: int = 0
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
        in_use=int(status.get("dbSizeInUse") or status["dbSize"]),
        index=int(status["raftIndex"]),
    )


def alarms(client: EtcdClient) -> list[tuple[str, str]]:
    """(member id, NOSPACE or CORRUPT) of each alarm that is raised."""
    lines = [line for line in client.run("alarm", "list").splitlines() if "alarm:" in line]
    return [(_id_of(line), line.rpartition("alarm:")[2].strip()) for line in lines]


def _id_of(line: str) -> str:
    digits = line.partition("memberID:")[2].split()[0]
    return f"{int(digits):x}" if digits.isdecimal() else digits


def advice(alarm: str) -> str:
    """What to do about one."""
    if alarm == "NOSPACE":
        return (
            "etcd is full and takes no more writes: run 'kubeinstall etcd reclaim'; when that frees nothing, delete "
            "objects, or give it more room (quota-backend-bytes in kubeinstall_cluster.etcd.local.extraArgs)"
        )
    return (
        "its data differs from the other members': take it out and bring it in anew "
        "(kubeinstall etcd remove, empty its data directory, kubeinstall etcd add)"
    )


def quota() -> int:
    """How many bytes etcd may hold, by this host's settings."""
    return int(local_settings().get("quota-backend-bytes") or 2 * 2**30)


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
    pki, own = client.pki, urlsplit(client.urls[0]).netloc
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        take_snapshot(
            f"etcd://{own}?cacert={pki}/ca.crt&cert={pki}/healthcheck-client.crt&key={pki}/healthcheck-client.key",
            partial,
        )
        found = read_snapshot(partial)
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    size = path.stat().st_size
    return f"revision {found.revision}, {found.objects} objects, {size / 2**20:.1f} MB"


def restore_snapshot(path: Path, members: Sequence[str] = ()) -> Path:
    """Put this host's member back to the snapshot; where its data of before is kept.

    `members` are `name=https://address:2380` of the cluster that is to be, all of them the same on every member's
    host; empty is what this member was first started with. etcd and what reads from it is stopped before and started
    after; it answers when most members are restored. The revision is moved on: see `snapshot.move_on`.
    """
    settings = local_settings()
    data = Path(settings["data-dir"])
    check_hash(path)
    cluster = ",".join(members) or str(settings["initial-cluster"])
    work, moved = data / ".restore", data / ".restore.snapshot"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copyfile(path, moved)
    moved.chmod(0o600)
    move_on(moved)
    run(
        [
            *(CTL, "snapshot", "restore", str(moved)),
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
    moved.unlink()
    run(["systemctl", "start", "--no-block", "etcd", *running])
    return kept


def wait_healthy(client: EtcdClient, seconds: float, url: str = "") -> bool:
    """Whether a member, this host's if none is named, answers a linearizable read within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if client.healthy(url or client.urls[0]):
            return True
        time.sleep(0.5)
    return False


def _active(name: str) -> bool:
    return run(["systemctl", "is-active", name], check=False).strip() == "active"
