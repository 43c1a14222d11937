"""Putting a cluster's backup in place, on each of its hosts: stop, put aside what is there, place, start.

A file `/var/lib/kubeinstall/restoring` stands from the first change until the cluster runs. It names the restore, and
says whether the data is in place: a restore that broke off before goes through all of it again, on every host, and one
that broke off after it only starts what is there.
"""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubeinstall.ansible import authorities, etcd, paths
from kubeinstall.ansible.commands import run
from kubeinstall.ansible.component_services import GROUPS
from kubeinstall.ansible.etcdctl import CTL
from kubeinstall.ansible.objects import with_client
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.services import unit_active
from kubeinstall.ansible.stages import ensure_etcd_packages
from kubeinstall.pki.files import write_atomic
from kubeinstall.provision.backup.manifest import BackupError
from kubeinstall.provision.backup.placing import MARK

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

Object = dict[str, Any]

_STOP_SECONDS = 150.0
_RESTORE_SECONDS = 900.0
_SERVER_SECONDS = 120.0
_READY_SECONDS = 240.0
_LOOK_SECONDS = 0.5
_KEPT = 2
_SET = "kubeinstall-restore"


def look_script(config: Object) -> str:
    """Asks a host, which may be bare, what is there: shell, since there may be no interpreter."""
    pki, data = config["cluster"]["certificatesDir"], etcd.data_directory(config)
    units = " ".join((*_components(), etcd.NAME))
    return f"""
echo {_SET}
(cat {MARK} 2>/dev/null || echo -) | head -n 1
test ! -e {pki}/ca.crt || echo certificates in {pki}
test ! -d {data}/member || echo etcd data in {data}
test ! -e {paths.DATASTORE} || echo a datastore, {paths.DATASTORE}
for unit in {units}; do systemctl is-active --quiet $unit 2>/dev/null && echo $unit, which runs; done
true
"""


def read_look(text: str) -> tuple[Object, list[str]] | None:
    """The answer: the mark (empty when there is none), and what is there; None when it is no answer."""
    lines = [line.strip() for line in text.splitlines()]
    if _SET not in lines:
        return None
    mark, *found = lines[lines.index(_SET) + 1 :] or [""]
    try:
        known = json.loads(mark)
    except ValueError:
        known = {} if mark == "-" else {"id": mark}
    return (known if isinstance(known, dict) else {"id": mark}), found


def clear(config: Object, identity: str, *, check: bool) -> Outcome:
    """Stop what runs and put aside what is there. What was there is kept; see `aside`."""
    outcome = Outcome()
    running = [name for name in (*_components(), etcd.NAME) if unit_active(name)]
    if running:
        outcome.add(f"stop {' '.join(running)}")
    pki = Path(config["cluster"]["certificatesDir"])
    data = etcd.data_directory(config) / "member"
    stamp = time.strftime("%Y%m%dT%H%M%S")
    # Beside what it was: the data of etcd may be large, and on a file system of its own.
    moves = {data: data.with_name(f"member.before-{stamp}")}
    folders = (paths.KUBERNETES, pki, paths.KUBELET / "pki", *_database_files())
    for index, folder in enumerate(dict.fromkeys(folders)):
        moves[folder] = paths.STATE / f"replaced-{stamp}" / f"{index}-{folder.name}"
    there = {source: target for source, target in moves.items() if source.exists()}
    outcome.changes += [f"move {source} to {target}" for source, target in there.items()]
    if check:
        return outcome
    _mark(identity, placed=False)
    if running:
        run(["systemctl", "stop", *running], seconds=_STOP_SECONDS)
    for source, target in there.items():
        if source.exists():  # not a folder within one that was moved
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.move(source, target)
    return outcome


def place(
    config: Object,
    identity: str,
    files: Mapping[str, str],
    extras: Mapping[str, str],
    database: str,
    *,
    check: bool,
) -> Outcome:
    """Authorities and datastore, as far as this host has them. `database` is a file on this host, which is used up."""
    outcome = authorities.place_authorities(config, files, check=check)
    roles = config["host"]["roles"]
    if "control-plane" in roles:
        for name, content in extras.items():
            outcome.add(f"write {name}")
            if not check:
                Path(name).parent.mkdir(parents=True, exist_ok=True)
                write_atomic(Path(name), base64.b64decode(content), 0o600)
    if "etcd" in roles:
        outcome.extend(ensure_etcd_packages(check=check))
        outcome.add("restore etcd's data")
        if not check:
            restore_member(config, Path(database), identity)
    elif database:
        outcome.add(f"write {paths.DATASTORE}")
        if not check:
            paths.DATASTORE.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.move(database, paths.DATASTORE)
            paths.DATASTORE.chmod(0o600)
    return outcome


def restore_member(config: Object, snapshot: Path, identity: str) -> None:
    """The member's data from a snapshot. Every member gets the same, and `identity`, so that they are one cluster."""
    name = config["init"]["nodeRegistration"]["name"]
    members = config["host"]["etcd"]["members"]
    data = etcd.data_directory(config)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    work = data / ".restore"
    shutil.rmtree(work, ignore_errors=True)
    cluster = ",".join(f"{n}={etcd.peer_url(address)}" for n, address in sorted(members.items()))
    run(
        [
            *(CTL, "snapshot", "restore", str(snapshot)),
            *("--data-dir", str(work), "--name", name, "--initial-cluster", cluster),
            *("--initial-cluster-token", f"{config['cluster']['clusterName']}-{identity}"),
            *("--initial-advertise-peer-urls", etcd.peer_url(members[name])),
        ],
        seconds=_RESTORE_SECONDS,
        environment={"ETCDCTL_API": "3"},
    )
    shutil.rmtree(data / "member", ignore_errors=True)
    (work / "member").rename(data / "member")
    shutil.rmtree(work, ignore_errors=True)


def note_placed(identity: str, *, check: bool) -> Outcome:
    """Every host has its data: from here on only starting is left."""
    if not check:
        _mark(identity, placed=True)
    return Outcome()


def settled(nodes: Sequence[str], *, check: bool) -> Outcome:
    """Wait until every node has renewed its Lease and is Ready: what was restored says so of dead nodes, too."""
    if check:
        return Outcome()

    async def work(client: ApiClient) -> Outcome:
        import asyncio

        first, waiting = await _renewals(client), set(nodes)
        deadline = time.monotonic() + _READY_SECONDS
        while waiting:
            now = await _renewals(client)
            moved = {name for name in waiting if now.get(name) != first.get(name)}
            ready = await _ready(client)
            waiting -= moved & ready
            if waiting and time.monotonic() > deadline:
                raise BackupError(
                    f"the data is in place, but {', '.join(sorted(waiting))} did not become Ready in "
                    f"{_READY_SECONDS:.0f} s (kubectl describe node says more); run the same command again"
                )
            await asyncio.sleep(_LOOK_SECONDS if waiting else 0)
        return Outcome()

    return with_client(paths.ADMIN, work, _SERVER_SECONDS)


async def _renewals(client: ApiClient) -> dict[str, str]:
    leases = (await client.list("coordination.k8s.io/v1/leases", namespace="kube-node-lease"))[
        "items"
    ]
    return {lease["metadata"]["name"]: lease["spec"].get("renewTime", "") for lease in leases}


async def _ready(client: ApiClient) -> set[str]:
    nodes = (await client.list("v1/nodes"))["items"]
    return {
        node["metadata"]["name"]
        for node in nodes
        for condition in (node.get("status") or {}).get("conditions") or []
        if condition["type"] == "Ready" and condition["status"] == "True"
    }


def done(config: Object, *, check: bool) -> Outcome:
    """The restore is over: take the mark away, and what was put aside by all restores but the last ones."""
    if check:
        return Outcome()
    MARK.unlink(missing_ok=True)
    data = etcd.data_directory(config)
    for found in (sorted(paths.STATE.glob("replaced-*")), sorted(data.glob("member.before-*"))):
        for folder in found[:-_KEPT]:
            shutil.rmtree(folder)
    return Outcome()


def _mark(identity: str, *, placed: bool) -> None:
    paths.STATE.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"id": identity, "placed": placed}) + "\n"
    write_atomic(MARK, text.encode(), 0o600)


def _components() -> list[str]:
    return [name for group in GROUPS.values() for name in group]


def _database_files() -> list[Path]:
    return [
        paths.DATASTORE.with_name(paths.DATASTORE.name + suffix) for suffix in ("", "-wal", "-shm")
    ]
