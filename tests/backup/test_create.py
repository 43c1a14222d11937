"""A backup of a real API server's datastore, made while it is written to."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from kubeinstall.ansible import paths
from kubeinstall.config import load_init
from kubeinstall.provision.backup import create, create_backup, restore, verify_backup
from kubeinstall.provision.backup.manifest import DATASTORE, DOCUMENTS, BackupError
from kubeinstall.provision.backup.verify import verified
from kubeinstall.storage import open_store
from tests.support.apiserver import RunningServer, run_api_server

CLUSTER = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nclusterName: lab\n"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "STATE", tmp_path / "var")
    monkeypatch.setattr(paths, "KUBERNETES", tmp_path / "etc")
    monkeypatch.setattr(paths, "KUBELET", tmp_path / "kubelet")
    monkeypatch.setattr(paths, "COMPONENTS", tmp_path / "etc/components.yaml")
    (tmp_path / "var").mkdir()
    (tmp_path / "etc").mkdir()
    return tmp_path


def settle(host: Path, server: RunningServer) -> None:
    settings = yaml.safe_load((server.directory / "settings.json").read_text())
    kubelet = {"hostname-override": "n1", "register-with-taints": "a=b:NoSchedule,c:NoExecute"}
    (host / "etc/components.yaml").write_text(
        yaml.safe_dump({"kube-apiserver": settings, "kubelet": kubelet})
    )


async def write_objects(server: RunningServer, first: int, count: int) -> None:
    async with server.client() as client:
        await asyncio.gather(
            *(
                client.create(
                    "v1/configmaps", {"metadata": {"name": f"c{i}", "namespace": "default"}}
                )
                for i in range(first, first + count)
            )
        )


async def test_a_backup_under_writes_is_whole_and_complete(host: Path) -> None:
    with run_api_server(host / "server") as server:
        settle(host, server)
        async with server.client() as client:
            await client.create(
                "v1/configmaps",
                {
                    "metadata": {"name": "kubeadm-config", "namespace": "kube-system"},
                    "data": {"ClusterConfiguration": CLUSTER},
                },
            )
        await write_objects(server, 0, 100)
        busy = asyncio.create_task(write_objects(server, 100, 400))
        made = await asyncio.to_thread(create_backup, host / "a.backup", b"secret")
        await busy
    assert verify_backup(host / "a.backup", b"secret") == made
    assert [path.name for path in (host / "var").iterdir()] == [], "staging was left behind"

    out = host / "out"
    out.mkdir()
    verified(host / "a.backup", b"secret", out)
    restore.forget_history(out / DATASTORE)
    store = await open_store(f"sqlite://{out / DATASTORE}")
    try:
        found = await store.scan("/registry/core/configmaps/default/c")
        assert 100 <= len(found.items) <= 500
        newest = await store.current_revision()
        assert newest == made.revision + restore._BUMP
        assert await store.create("/registry/core/configmaps/default/z", b"1") == newest + 1
    finally:
        await store.close()

    config = load_init(
        out / DOCUMENTS, node_name="x", address="10.0.0.1", init_overrides={}, cluster_overrides={}
    )
    registration = config.init["nodeRegistration"]
    assert (config.cluster["clusterName"], registration["name"]) == ("lab", "n1")
    assert registration["taints"] == [
        {"key": "a", "value": "b", "effect": "NoSchedule"},
        {"key": "c", "effect": "NoExecute"},
    ]


def test_without_a_finished_init_there_is_no_backup(host: Path) -> None:
    with run_api_server(host / "server") as server:
        settle(host, server)
        with pytest.raises(BackupError, match="has not finished"):
            create_backup(host / "a.backup")
    assert not (host / "a.backup").exists()


def test_a_file_that_is_there_is_not_overwritten(host: Path) -> None:
    (host / "a.backup").write_text("precious")
    with pytest.raises(BackupError, match="is there already"):
        create_backup(host / "a.backup")
    assert (host / "a.backup").read_text() == "precious"


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "state.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("CREATE TABLE x (y)")
    source.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(BackupError, match="cannot be copied"):
        create.copy_database(source, tmp_path / "copy.db")
