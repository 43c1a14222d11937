"""A real API server that encrypts: what is on the disk, and how it moves from key to key."""

from __future__ import annotations

import base64
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeinstall.storage.encryption import new_configuration
from kubeinstall.storage.encryption.configuration import new_key
from tests.support.apiserver import RunningServer, run_api_server

PASSWORD = "correct horse battery staple"
STORED = base64.b64encode(PASSWORD.encode())


def secret(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "default"},
        "data": {"password": STORED.decode()},
    }


def write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(document))
    path.chmod(0o600)


def restart(server: RunningServer) -> None:
    server.process.terminate()
    server.process.wait(15)
    server.restart()


def bodies(directory: Path, prefix: str) -> dict[str, bytes]:
    """Key → what is stored now."""
    query = "SELECT key, value FROM log WHERE key LIKE ? AND deleted = 0 ORDER BY revision"
    with sqlite3.connect(f"file:{directory}/state.db?mode=ro", uri=True) as connection:
        found = dict(connection.execute(query, (f"{prefix}%",)).fetchall())
    connection.close()
    return found


async def rewrite(server: RunningServer) -> None:
    """What `secrets-encryption reencrypt` does."""
    async with server.client() as client:
        for item in (await client.list("v1/secrets"))["items"]:
            await client.update("v1/secrets", item)


async def test_secrets_are_encrypted_on_disk_and_everything_else_is_not(tmp_path: Path) -> None:
    file = tmp_path / "encryption-config.yaml"
    write(file, new_configuration())
    with run_api_server(tmp_path, {"encryption-provider-config": str(file)}) as server:
        async with server.client() as client:
            await client.create("v1/secrets", secret("a"))
            await client.create(
                "v1/configmaps",
                {"metadata": {"name": "c", "namespace": "default"}, "data": {"x": "readable"}},
            )
            found = await client.get("v1/secrets", "a", "default")
            assert base64.b64decode(found["data"]["password"]).decode() == PASSWORD
        restart(server)
        async with server.client() as client:
            found = await client.get("v1/secrets", "a", "default")
            assert base64.b64decode(found["data"]["password"]).decode() == PASSWORD
            async for kind, event in client.watch("v1/secrets", namespace="default"):
                assert (kind, event["data"]["password"]) == ("ADDED", STORED.decode())
                break
        stored = bodies(tmp_path, "/registry/core/secrets/")
        assert stored
        assert all(value.startswith(b"k8s:enc:secretbox:v1:key1:") for value in stored.values())
        maps = bodies(tmp_path, "/registry/core/configmaps/default/c")
        assert b"readable" in next(iter(maps.values()))
    for file in tmp_path.glob("state.db*"):
        assert STORED not in file.read_bytes()
        assert PASSWORD.encode() not in file.read_bytes()


async def test_from_plain_to_a_key_to_the_next_key(tmp_path: Path) -> None:
    file = tmp_path / "encryption-config.yaml"
    write(file, {**new_configuration(), "resources": [PLAIN]})
    with run_api_server(tmp_path, {"encryption-provider-config": str(file)}) as server:
        async with server.client() as client:
            made = await client.create("v1/secrets", secret("a"))
        assert STORED in bodies(tmp_path, "/registry/core/secrets/default/a").popitem()[1]

        first, second = new_key("first"), new_key("second")
        for keys, expected in (([first], b"first"), ([second, first], b"second")):
            providers: list[dict[str, Any]] = [{"secretbox": {"keys": keys}}, {"identity": {}}]
            write(file, configuration(providers))
            restart(server)
            await rewrite(server)
            for value in bodies(tmp_path, "/registry/core/secrets/").values():
                assert value.startswith(b"k8s:enc:secretbox:v1:" + expected + b":")

        before = bodies(tmp_path, "/registry/core/secrets/")
        await rewrite(server)  # nothing is stale any more: nothing is written
        assert bodies(tmp_path, "/registry/core/secrets/") == before

        # The old key and plain reading go; history still has values of theirs.
        write(file, configuration([{"secretbox": {"keys": [second]}}]))
        restart(server)
        async with server.client() as client:
            found = await client.get("v1/secrets", "a", "default")
        assert found["metadata"]["uid"] == made["metadata"]["uid"]
        assert found["data"]["password"] == STORED.decode()


async def test_a_missing_key_is_named_at_start(tmp_path: Path) -> None:
    file = tmp_path / "encryption-config.yaml"
    write(file, new_configuration())
    with run_api_server(tmp_path, {"encryption-provider-config": str(file)}) as server:
        async with server.client() as client:
            await client.create("v1/secrets", secret("a"))
        write(file, new_configuration())
        with pytest.raises(RuntimeError, match=r"/registry/core/secrets/.*cannot be decrypted"):
            restart(server)


PLAIN: dict[str, Any] = {"resources": ["secrets"], "providers": [{"identity": {}}]}


def configuration(providers: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        **new_configuration(),
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }
