"""Two API servers on one etcd: what one acknowledges, the other shows at once."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import aiohttp
import pytest

from tests.apiserver.conftest import Http
from tests.apiserver.test_watch import MAPS, watching
from tests.support.apiserver import run_api_server
from tests.support.etcd import run_etcd

pytestmark = pytest.mark.skipif(shutil.which("etcd") is None, reason="no etcd on the path")


async def test_writes_are_seen_by_the_other_server(tmp_path: Path) -> None:
    with (
        run_etcd(tmp_path) as etcd,
        run_api_server(tmp_path / "one", {"storage-url": etcd.url}) as first,
        run_api_server(tmp_path / "two", {"storage-url": etcd.url}) as second,
    ):
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=first.tls())) as one,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=second.tls())) as two,
        ):
            here, there = Http(first, one, "default"), Http(second, two, "default")
            async with watching(there, "resourceVersion=0&labelSelector=mine") as events:
                for number in range(20):
                    name = f"m{number}"
                    await here.create_configmap(name, labels={"mine": "1"})
                    assert (await there("GET", f"{MAPS}/{name}")).status == 200
                    await events.expect(("ADDED", name))
            await _contend(here, there)
        await asyncio.sleep(0.05)


async def _contend(here: Http, there: Http) -> None:
    """Patches through both count, each once."""
    merge = {"Content_Type": "application/merge-patch+json"}
    answers = await asyncio.gather(
        *(
            (here if number % 2 else there)(
                "PATCH", f"{MAPS}/m0", {"data": {f"k{number}": "v"}}, **merge
            )
            for number in range(20)
        )
    )
    assert {answer.status for answer in answers} == {200}
    assert len((await there("GET", f"{MAPS}/m0")).body["data"]) == 21
