"""`kubeinstall etcd` on a real etcd: snapshots and how many are kept, gaps closed, out of NOSPACE."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubeinstall.ansible.commands import run
from kubeinstall.ansible.etcdctl import CTL, EtcdClient
from kubeinstall.errors import KubeinstallError, StoreError
from kubeinstall.provision import etcd, etcd_upkeep
from kubeinstall.provision.backup.snapshot import take_snapshot
from kubeinstall.storage import open_store
from tests.support.etcd import RunningEtcd, run_etcd

pytestmark = pytest.mark.timeout(120)

KEY = "/registry/core/configmaps/x/a"
QUOTA = 6_000_000


@dataclass(frozen=True)
class PlainClient(EtcdClient):
    """Of an etcd without TLS."""

    def run(self, *words: str, seconds: float = 10.0, urls: Sequence[str] | None = None) -> str:
        command = [CTL, f"--endpoints={','.join(urls or self.urls)}", *words]
        return run(command, seconds=seconds + 10, environment={"ETCDCTL_API": "3"})


def client_of(cluster: RunningEtcd) -> EtcdClient:
    urls = tuple(f"http://127.0.0.1:{client}" for client, _ in cluster.ports)
    return PlainClient(urls, Path("/nowhere"))


@pytest.fixture
def member(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """This host's settings: those of the first member."""
    settings: dict[str, object] = {"name": "m0", "quota-backend-bytes": QUOTA}
    for module in (etcd, etcd_upkeep):
        monkeypatch.setattr(module, "local_settings", lambda: settings)
    return settings


async def fill(url: str, *, history: bool, most: int = 600) -> None:
    """Write until etcd is full: one key again and again, or key after key; `most` writes."""
    store = await open_store(url)
    for i in range(most):
        try:
            found = await store.get(KEY)
            if history and found is not None:
                await store.update(KEY, b"%d" % i * 20_000, expected=found.mod_revision)
            else:
                await store.create(f"{KEY}{i}" if found else KEY, b"x" * 60_000)
        except StoreError as error:
            if "space exceeded" in str(error):
                break
            await asyncio.sleep(0.2)  # a busy machine: another attempt is as good
    await store.close()


async def write(url: str) -> None:
    store = await open_store(url)
    found = await store.get(KEY)
    assert found is not None
    await store.update(KEY, b"again", expected=found.mod_revision)
    await store.close()


def test_out_of_nospace_when_history_fills_it(tmp_path: Path, member: dict[str, object]) -> None:
    with run_etcd(tmp_path, 3, (f"--quota-backend-bytes={QUOTA}",)) as cluster:
        client = client_of(cluster)
        asyncio.run(fill(cluster.url, history=True))
        raised = etcd.alarms(client)
        assert {alarm for _, alarm in raised} == {"NOSPACE"}
        assert {name for name, _ in raised} <= {m.id for m in client.members()}
        with pytest.raises(StoreError, match=r"^etcdserver: mvcc: database space exceeded$"):
            asyncio.run(write(cluster.url))
        said: list[str] = []
        etcd_upkeep.reclaim(client, said.append)
        assert etcd.alarms(client) == []
        assert all(state.size < QUOTA / 2 for state in etcd.states(client)), said
        asyncio.run(write(cluster.url))
        etcd_upkeep.reclaim(client, said.append)  # again: nothing is wrong with that


def test_objects_are_not_reclaimed(tmp_path: Path, member: dict[str, object]) -> None:
    with run_etcd(tmp_path, 1, (f"--quota-backend-bytes={QUOTA}",)) as cluster:
        client = client_of(cluster)
        asyncio.run(fill(cluster.url, history=False))
        member["quota-backend-bytes"] = QUOTA // 2
        with pytest.raises(KubeinstallError, match="are objects, not history"):
            etcd_upkeep.reclaim(client, lambda line: None)
        assert etcd.alarms(client), "the alarm was taken back though etcd is full"


def test_members_are_defragmented_leader_last_and_only_when_all_are_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, member: dict[str, object]
) -> None:
    with run_etcd(tmp_path, 3) as cluster:
        client = client_of(cluster)
        asyncio.run(fill(cluster.url, history=True, most=160))
        leader = next(s.member.name for s in etcd.states(client) if s.leader)
        said: list[str] = []
        assert etcd_upkeep.defragment(client, said.append) == 0
        assert all("not worth it" in line for line in said)
        assert len(said) == 3
        client.run("compact", "--physical", "150")
        for _ in range(5):  # what is free is counted at the next writes
            time.sleep(0.3)
            client.run("put", "/other", "x")
        time.sleep(0.5)
        monkeypatch.setattr(etcd_upkeep, "_WORTH", 1_000_000)
        said.clear()
        assert etcd_upkeep.defragment(client, said.append) > 3_000_000
        assert len(said) == 3
        assert said[-1].startswith(leader)
        cluster.kill(0)
        with pytest.raises(KubeinstallError, match="m0 is not healthy, and quorum would be at"):
            etcd_upkeep.defragment(client_of(cluster), said.append, every=True)


def test_snapshots_are_taken_and_the_oldest_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, member: dict[str, object]
) -> None:
    def save(client: EtcdClient, path: Path) -> str:
        take_snapshot(client.urls[0].replace("http://", "etcd://"), path)
        return "saved"

    monkeypatch.setattr(etcd_upkeep, "save_snapshot", save)
    kept = tmp_path / "kept"
    kept.mkdir()
    host = socket.gethostname()
    for day in range(1, 5):
        (kept / f"etcd-{host}-2020010{day}T000000Z.snapshot").write_text("old")
    others = [kept / "etcd-another-20200101T000000Z.snapshot", kept / "mine.txt"]
    for other in others:
        other.write_text("somebody else's")
    with run_etcd(tmp_path, 3) as cluster:
        etcd_upkeep.upkeep(client_of(cluster), kept, 3, lambda line: None)
    found = sorted(p.name for p in kept.iterdir() if p not in others)
    assert found[:2] == [f"etcd-{host}-2020010{day}T000000Z.snapshot" for day in (3, 4)]
    assert len(found) == 3
    assert (kept / found[2]).stat().st_mode & 0o777 == 0o600
    assert all(other.exists() for other in others)


def test_a_member_is_not_removed_below_quorum(tmp_path: Path) -> None:
    with run_etcd(tmp_path, 3) as cluster:
        cluster.kill(2)
        client = client_of(cluster)
        with pytest.raises(KubeinstallError, match="would lose its quorum"):
            etcd.remove_member(client, "m1")
        with pytest.raises(KubeinstallError, match='no etcd member "m9"; there are m0, m1, m2'):
            etcd.remove_member(client, "m9")
        assert etcd.remove_member(client, "m2").name == "m2"
        assert {m.name for m in client.members()} == {"m0", "m1"}
