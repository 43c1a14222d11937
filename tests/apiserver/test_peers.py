"""API servers of one datastore know of each other: the `kubernetes` endpoints are those that live."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kubeinstall.storage import open_store
from tests.apiserver.conftest import Http
from tests.support.apiserver import RunningServer, run_api_server
from tests.support.etcd import run_etcd

ENDPOINTS = "/api/v1/namespaces/default/endpoints/kubernetes"
SLICE = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
#: What a server of its name says: TTL of a lease, then the next round of another server, and some.
MISSED_SECONDS = 15 + 1 + 10 + 14


def flags(address: str, **more: Any) -> dict[str, Any]:
    return {"advertise-address": address, "endpoint-reconciler-type": "lease", **more}


async def _expect(server: RunningServer, addresses: list[str], seconds: float = 15) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=server.tls())) as session:
        http = Http(server, session, "default")
        deadline = time.monotonic() + seconds
        while True:
            subsets = (await http("GET", ENDPOINTS)).body.get("subsets") or []
            found = [a["ip"] for s in subsets for a in s.get("addresses") or []]
            slices = (await http("GET", SLICE)).body.get("endpoints") or []
            same = [a for e in slices for a in e["addresses"]]
            if found == same == addresses:
                return
            assert time.monotonic() < deadline, (found, same)
            await asyncio.sleep(0.1)


@pytest.mark.skipif(shutil.which("etcd") is None, reason="no etcd on the path")
async def test_servers_on_one_etcd(tmp_path: Path) -> None:
    with run_etcd(tmp_path) as etcd, contextlib.ExitStack() as stack:
        one, two, three = (
            stack.enter_context(
                run_api_server(tmp_path / str(n), flags(f"10.0.0.{n}", **{"storage-url": etcd.url}))
            )
            for n in (1, 2, 3)
        )
        await _expect(one, ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
        three.process.terminate()
        await _expect(one, ["10.0.0.1", "10.0.0.2"], 6)
        two.kill()
        await _expect(one, ["10.0.0.1"], MISSED_SECONDS)
        two.restart()
        await _expect(one, ["10.0.0.1", "10.0.0.2"])


async def test_a_lone_server_keeps_its_lease_and_forgets_its_earlier_address(
    tmp_path: Path,
) -> None:
    with run_api_server(tmp_path, flags("10.0.0.1")) as server:
        await _expect(server, ["10.0.0.1"])
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=server.tls())
        ) as session:
            found = await Http(server, session, "default")(
                "GET", f"{LEASES}?labelSelector=apiserver.kubernetes.io/identity%3Dkube-apiserver"
            )
        [lease] = found.body["items"]
        assert lease["metadata"]["name"].startswith("apiserver-")
        assert lease["spec"]["holderIdentity"].startswith(lease["metadata"]["name"] + "_")
        assert lease["spec"]["leaseDurationSeconds"] == 3600
        server.kill()
        settings = server.directory / "settings.json"
        settings.write_text(settings.read_text().replace("10.0.0.1", "10.0.0.2"))
        server.restart()
        await _expect(server, ["10.0.0.2"], MISSED_SECONDS)
        server.process.terminate()
        await asyncio.to_thread(server.process.wait, 20)
    store = await open_store(f"sqlite://{tmp_path}/state.db")
    try:
        assert (await store.scan("/registry/masterleases/")).items == []
        names = [item.key for item in (await store.scan("/registry/coordination")).items]
        assert not [name for name in names if "/apiserver-" in name]
    finally:
        await store.close()
