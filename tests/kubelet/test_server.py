"""The server on 10250: who may ask, and what it answers."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.kubelet.conftest import Node

pytestmark = pytest.mark.host

LOOP = {
    "name": "c",
    "image": "busybox",
    "command": ["sh", "-c", "while :; do echo tick; sleep 0.2; done"],
}


class Caller:
    """Asks the kubelet; the small API knows the tokens "admin-token" and "nobody-token"."""

    def __init__(self, node: Node, session: aiohttp.ClientSession) -> None:
        self._base = f"https://127.0.0.1:{node.kubelet.port}"
        self._session = session

    async def __call__(
        self, path: str, token: str = "admin-token", method: str = "GET"
    ) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._session.request(method, self._base + path, headers=headers) as answer:
            return answer.status, await answer.text()


@pytest.fixture
async def ask(node: Node) -> AsyncIterator[Caller]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    await node.until(lambda: "Component ready" in node.kubelet.log())
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        yield Caller(node, session)


async def test_only_who_may_gets_an_answer(node: Node, ask: Caller) -> None:
    assert await ask("/pods", token="") == (401, "Unauthorized")
    assert await ask("/pods", token="wrong") == (401, "Unauthorized")
    status, text = await ask("/pods", token="nobody-token")
    assert status == 403
    assert text == "Forbidden (user=nobody, verb=get, resource=nodes, subresource(s)=[pods proxy])"
    assert (await ask("/healthz"))[0] == 200
    assert (await ask("/nothing"))[0] == 404


async def test_logs_and_numbers(node: Node, ask: Caller) -> None:
    await node.run("p", {"containers": [LOOP]})
    await node.until(
        lambda: node.condition("p", "Ready") == "True" and node.log("p").count("tick") > 3
    )
    assert await ask("/containerLogs/default/p/c?tailLines=2&limitBytes=7") == (200, "tick\nti")
    assert await ask("/containerLogs/default/none/c") == (404, 'pod "none" does not exist\n')
    assert await ask("/containerLogs/default/p/none") == (
        404,
        'container "none" not found in pod "p"\n',
    )
    assert (await ask("/containerLogs/default/p/c?previous=true"))[0] == 400
    for path, wanted in (
        (
            "/metrics/resource",
            'container_memory_working_set_bytes{container="c",namespace="default",pod="p"}',
        ),
        ("/metrics/cadvisor", "container_cpu_usage_seconds_total"),
        ("/metrics", "kubelet_running_pods 1"),
        ("/pods", '"name":"p"'),
        ("/stats/summary", '"podRef":{"name":"p"'),
        ("/configz", '"kubeletconfig"'),
        ("/runningpods/", '"name":"p"'),
    ):
        status, text = await ask(path)
        assert status == 200
        assert wanted in text, path
    assert await ask("/run/default/p/c?cmd=echo+hi", method="POST") == (200, "hi\n")


async def test_health_on_loopback(node: Node) -> None:
    await node.until(lambda: "Component ready" in node.kubelet.log())
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{node.kubelet.health_port}/healthz") as answer,
    ):
        body: Any = await answer.text()
        assert (answer.status, body) == (200, "ok")


async def test_labels_in_downward_volumes_follow_the_pod(node: Node) -> None:
    items = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
    command = "while ! grep -q new /d/labels; do sleep 0.1; done; echo seen; sleep 1000"
    container = {
        **LOOP,
        "command": ["sh", "-c", command],
        "volumeMounts": [{"name": "d", "mountPath": "/d"}],
    }
    volumes = [{"name": "d", "downwardAPI": {"items": items}}]
    pod = await node.run("p", {"containers": [container], "volumes": volumes}, labels={"a": "old"})
    await node.until(lambda: node.condition("p", "Ready") == "True")
    pod = dict(node.pod("p") or {})
    pod["metadata"] = {**pod["metadata"], "labels": {"a": "new"}}
    await node.api.put("v1/pods", pod)
    await node.until(lambda: "seen" in node.log("p"), 5)
