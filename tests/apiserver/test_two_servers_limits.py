"""Two API servers on one etcd: what there is once is given out once, whoever is asked."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.apiserver.conftest import Http
from tests.support.apiserver import run_api_server
from tests.support.etcd import run_etcd

pytestmark = pytest.mark.skipif(shutil.which("etcd") is None, reason="no etcd on the path")

SERVICES = "/api/v1/namespaces/default/services"
QUOTAS = "/api/v1/namespaces/default/resourcequotas"
MAPS = "/api/v1/namespaces/default/configmaps"


def service(name: str, **spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, **({"nodePort": spec.pop("port")} if "port" in spec else {})}]
    return {"metadata": {"name": name}, "spec": {"ports": ports, **spec}}


async def test_ports_addresses_and_quotas(tmp_path: Path) -> None:
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
            await _node_ports(here, there)
            await _node_ports_at_once(here, there)
            await _addresses(here, there)
            await _quotas(here, there)
            await _quota_in_motion(here, there)
        await asyncio.sleep(0.05)


async def _node_ports(here: Http, there: Http) -> None:
    """Acknowledged by one, taken for the other; given back by one, free for the other."""
    for number in range(10):
        port = 30100 + number
        made = await here("POST", SERVICES, service(f"a{number}", type="NodePort", port=port))
        assert made.status == 201, made.body
        again = await there("POST", SERVICES, service(f"b{number}", type="NodePort", port=port))
        assert again.status == 422
        assert "provided port is already allocated" in again.body["message"]
        assert (await here("DELETE", f"{SERVICES}/a{number}")).status == 200
        free = await there("POST", SERVICES, service(f"b{number}", type="NodePort", port=port))
        assert free.status == 201, free.body


async def _node_ports_at_once(here: Http, there: Http) -> None:
    """Of two that claim the same port at the same instant exactly one comes to be; health checks' ports too."""
    for number in range(20):
        port = 30300 + number
        names = [(here, f"c{number}"), (there, f"d{number}")]
        made = await asyncio.gather(
            *(
                http("POST", SERVICES, service(name, type="NodePort", port=port))
                for http, name in names
            )
        )
        assert sorted(answer.status for answer in made) == [201, 422], [a.body for a in made]
        refused = next(answer for answer in made if answer.status == 422)
        assert "provided port is already allocated" in refused.body["message"]
    fields = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    for number in range(10):
        # Of the band that ports taken at random, as these services' own, leave free.
        port = 30040 + number
        names = [(here, f"e{number}"), (there, f"f{number}")]
        made = await asyncio.gather(
            *(
                http("POST", SERVICES, service(name, healthCheckNodePort=port, **fields))
                for http, name in names
            )
        )
        assert sorted(answer.status for answer in made) == [201, 500], [a.body for a in made]
    # Given at once, too, by updates.
    free = {"spec": {"ports": [{"port": 80, "nodePort": 30500}]}}
    merge = {"Content_Type": "application/merge-patch+json"}
    holders = [item["metadata"]["name"] for item in (await here("GET", SERVICES)).body["items"]]
    two = [name for name in holders if name[0] in "cd"][:2]
    done = await asyncio.gather(
        here("PATCH", f"{SERVICES}/{two[0]}", free, **merge),
        there("PATCH", f"{SERVICES}/{two[1]}", free, **merge),
    )
    assert sorted(answer.status for answer in done) == [200, 422], [a.body for a in done]


async def _addresses(here: Http, there: Http) -> None:
    """Of one address only one service comes to be; addresses given out at once differ."""
    same = [(here, "x0"), (there, "x1")]
    made = await asyncio.gather(
        *(http("POST", SERVICES, service(name, clusterIP="10.96.0.77")) for http, name in same)
    )
    assert sorted(answer.status for answer in made) == [201, 422]
    many = await asyncio.gather(
        *((here if n % 2 else there)("POST", SERVICES, service(f"y{n}")) for n in range(20))
    )
    assert len({answer.body["spec"]["clusterIP"] for answer in many}) == 20


async def _quotas(here: Http, there: Http) -> None:
    """A quota of some more is not exceeded by writers on both servers."""
    before = len((await here("GET", MAPS)).body["items"])
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": str(before + 5)}}}
    assert (await here("POST", QUOTAS, quota)).status == 201
    deadline = asyncio.get_running_loop().time() + 10
    while "used" not in (await there("GET", f"{QUOTAS}/q")).body.get("status", {}):
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)
    await asyncio.gather(
        *(
            (here if n % 2 else there)("POST", MAPS, {"metadata": {"name": f"m{n}"}})
            for n in range(16)
        )
    )
    assert len((await there("GET", MAPS)).body["items"]) == before + 5


async def _quota_in_motion(here: Http, there: Http) -> None:
    """Creates and deletes through both at once: never more than the quota at any moment, and all is given back."""
    held = [item["metadata"]["name"] for item in (await here("GET", MAPS)).body["items"]]
    hard = int((await here("GET", f"{QUOTAS}/q")).body["spec"]["hard"]["configmaps"])
    assert len(held) == hard
    for name in held:
        if name.startswith("m"):
            assert (await here("DELETE", f"{MAPS}/{name}")).status == 200
    ending = asyncio.get_running_loop().time() + 8
    made = 0

    async def churn(worker: int) -> None:
        nonlocal made
        number = 0
        while asyncio.get_running_loop().time() < ending:
            one, other = (here, there) if (worker + number) % 2 else (there, here)
            name = f"churn-{worker}-{number}"
            number += 1
            answer = await one("POST", MAPS, {"metadata": {"name": name}})
            if answer.status != 201:
                assert "exceeded quota" in answer.body["message"], answer.body
                await asyncio.sleep(0.05)
                continue
            made += 1
            await asyncio.sleep(0.02 * (worker % 3))
            assert (await other("DELETE", f"{MAPS}/{name}")).status == 200

    async def look() -> None:
        while asyncio.get_running_loop().time() < ending:
            for http in (here, there):
                assert len((await http("GET", MAPS)).body["items"]) <= hard
            await asyncio.sleep(0.01)

    await asyncio.gather(look(), *(churn(worker) for worker in range(8)))
    assert made > 10
    left = len((await here("GET", MAPS)).body["items"])
    deadline = asyncio.get_running_loop().time() + 20
    while (used := (await there("GET", f"{QUOTAS}/q")).body["status"]["used"]) != {
        "configmaps": str(left)
    }:
        assert asyncio.get_running_loop().time() < deadline, used
        await asyncio.sleep(0.1)
    answers = await asyncio.gather(
        *(
            (here if n % 2 else there)("POST", MAPS, {"metadata": {"name": f"again{n}"}})
            for n in range(12)
        )
    )
    assert sum(answer.status == 201 for answer in answers) == hard - left
