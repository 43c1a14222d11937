"""Keeping etcd well: files without gaps, alarms dealt with, snapshots at hand. The timer of each member does it too."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kubeinstall.ansible.commands import CommandError
from kubeinstall.ansible.etcdctl import EtcdClient
from kubeinstall.errors import KubeinstallError
from kubeinstall.provision.etcd import (
    MemberState,
    advice,
    alarms,
    local_settings,
    quota,
    save_snapshot,
    states,
    wait_healthy,
)

NOSPACE = "NOSPACE"
_WORTH = 64 * 2**20
_DEFRAGMENT_SECONDS = 300.0
_HEALTH_SECONDS = 60.0
_ATTEMPTS = 3
_QUIET_SECONDS = 2.0
_FULL = 0.8
_NAME = re.compile(r"etcd-.+-\d{8}T\d{6}Z\.snapshot")

Say = Callable[[str], None]


def worth(state: MemberState) -> bool:
    """Whether defragmenting frees something: at least 64 MiB, and half of the file."""
    free = state.size - state.in_use
    return free >= _WORTH and free * 2 >= state.size


def in_order(found: Sequence[MemberState]) -> list[MemberState]:
    """Members as they are defragmented: the leader last, since its pause is felt by all."""
    return sorted(found, key=lambda state: (state.leader, state.member.name))


def defragment(client: EtcdClient, say: Say, *, every: bool = False) -> int:
    """One member after another; each answers nothing meanwhile. How many bytes it freed.

    Only members that it is worth for, unless `every`. Not begun, and not gone on with, while a member is not healthy.
    """
    freed = 0
    for state in in_order(states(client)):
        if not every and not worth(state):
            say(f"{state.member.name}: not worth it ({_sizes(state)})")
            continue
        _require_health(client, state.member.name)
        freed += _defragment(client, state, say)
    return freed


def _defragment(client: EtcdClient, state: MemberState, say: Say) -> int:
    url = state.member.client_url
    client.run("defrag", seconds=_DEFRAGMENT_SECONDS, urls=[url])
    if not wait_healthy(client, _HEALTH_SECONDS, url):
        raise KubeinstallError(
            f"{state.member.name} is not healthy {_HEALTH_SECONDS:.0f} s after it was defragmented; see its log "
            "(journalctl -u etcd) before going on"
        )
    after = next(s for s in states(client) if s.member.id == state.member.id)
    say(f"{state.member.name}: from {_megabytes(state.size)} to {_megabytes(after.size)}")
    return state.size - after.size


def _require_health(client: EtcdClient, name: str) -> None:
    sick = [s.member.name or s.member.id for s in states(client) if not s.healthy]
    if sick:
        raise KubeinstallError(
            f"{name} is not defragmented: {', '.join(sick)} is not healthy, and quorum would be at risk"
        )


def reclaim(client: EtcdClient, say: Say) -> None:
    """Out of NOSPACE: forget history, close the gaps of every member, take the alarm back.

    KubeinstallError when what is left is not history but objects.
    """
    revision = max(_revision(client, s.member.client_url) for s in states(client) if not s.error)
    try:
        client.run("compact", "--physical", str(revision), seconds=_DEFRAGMENT_SECONDS)
        say(f"compacted up to revision {revision}")
    except CommandError as error:
        if "has been compacted" not in str(error):
            raise
    # A member that is at its limit is healthy only once it is not: all are done, whatever they say.
    for state in in_order(states(client)):
        if state.error:
            raise KubeinstallError(f"{state.member.name}: {state.error}; bring it back first")
        _defragment_full(client, state, say)
    most = max(state.in_use for state in states(client))
    if most > quota() * _FULL:
        raise KubeinstallError(
            f"{_megabytes(most)} of {_megabytes(quota())} are objects, not history; the alarm stays: {advice(NOSPACE)}"
        )
    raised = {alarm for _, alarm in alarms(client)}
    if raised - {NOSPACE}:
        raise KubeinstallError(f"the alarm stays, since there is another: {', '.join(raised)}")
    if raised:
        client.run("alarm", "disarm")
        say("alarm NOSPACE taken back: etcd takes writes again")


def _defragment_full(client: EtcdClient, state: MemberState, say: Say) -> None:
    """Each member removes compacted history in the background, and says nothing of it: a few attempts."""
    for attempt in range(_ATTEMPTS):
        client.run("defrag", seconds=_DEFRAGMENT_SECONDS, urls=[state.member.client_url])
        after = _answering(client, state)
        if after.in_use < quota() * _FULL:
            break
        time.sleep(_QUIET_SECONDS if attempt + 1 < _ATTEMPTS else 0)
    say(f"{state.member.name}: from {_megabytes(state.size)} to {_megabytes(after.size)}")


def _answering(client: EtcdClient, state: MemberState) -> MemberState:
    deadline = time.monotonic() + _HEALTH_SECONDS
    while time.monotonic() < deadline:
        after = next(s for s in states(client) if s.member.id == state.member.id)
        if not after.error:
            return after
        time.sleep(0.5)
    raise KubeinstallError(f"{state.member.name} does not answer after it was defragmented")


def _revision(client: EtcdClient, url: str) -> int:
    text = client.run("endpoint", "status", "-w", "json", urls=[url])
    return int(json.loads(text)[0]["Status"]["header"]["revision"])


def upkeep(client: EtcdClient, directory: Path, keep: int, say: Say) -> None:
    """What the timer does on each member: a snapshot, the oldest removed, and what the member needs.

    An alarm for want of space is dealt with by the leader; a member that is worth defragmenting does so itself, having
    given the lead away.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    path = directory / f"etcd-{socket.gethostname()}-{stamp}.snapshot"
    say(f"{path}: {save_snapshot(client, path)}")
    for old in prune(directory, keep):
        say(f"removed {old}")
    found = states(client)
    own = next(s for s in found if s.member.name == local_settings()["name"])
    if own.leader and any(alarm == NOSPACE for _, alarm in alarms(client)):
        reclaim(client, say)
    elif worth(own):
        _require_health(client, own.member.name)
        others = [s for s in found if s.healthy and not s.leader and not s.member.learner]
        if own.leader and others:
            client.run("move-leader", others[0].member.id, urls=[own.member.client_url])
        _defragment(client, own, say)


def prune(directory: Path, keep: int) -> list[Path]:
    """Remove all but the newest `keep` of this host's snapshots; only files of their names are looked at."""
    if keep < 1:
        raise KubeinstallError("at least one snapshot must be kept")
    prefix = f"etcd-{socket.gethostname()}-"
    names = (p for p in directory.iterdir() if p.name.startswith(prefix))
    gone = sorted(path for path in names if _NAME.fullmatch(path.name))[:-keep]
    for path in gone:
        path.unlink()
    return gone


def _sizes(state: MemberState) -> str:
    return f"{_megabytes(state.size)}, of which {_megabytes(state.in_use)} are in use"


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MB"
