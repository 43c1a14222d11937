"""The binary form that Go clients speak."""

from __future__ import annotations

import asyncio
from typing import Any

from kubeinstall.api import protobuf, resources
from tests.apiserver.conftest import Http

MAPS = "/api/v1/namespaces/NS/configmaps"
MEDIA = protobuf.MEDIA_TYPE


def test_every_builtin_kind_has_one() -> None:
    missing = [
        one.kind for one in resources.builtin() if not protobuf.supported(one.api_version, one.kind)
    ]
    assert missing == []


async def _bytes(http: Http, method: str, path: str, body: bytes | None = None) -> bytes:
    headers = {"Accept": MEDIA, "Content-Type": MEDIA}
    async with http.session.request(method, http.url(path), data=body, headers=headers) as answer:
        assert answer.headers["Content-Type"] == MEDIA, await answer.text()
        return await answer.read()


async def test_objects_and_lists(http: Http) -> None:
    made: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a"},
        "data": {"k": "v"},
    }
    stored = protobuf.decode(await _bytes(http, "POST", MAPS, protobuf.encode(made)))
    assert stored["data"] == {"k": "v"}
    assert stored["metadata"]["namespace"] == http.namespace
    plain = (await http("GET", f"{MAPS}/a")).body
    assert protobuf.decode(await _bytes(http, "GET", f"{MAPS}/a")) == plain
    listed = protobuf.decode(await _bytes(http, "GET", MAPS))
    assert (listed["kind"], listed["items"][0]["metadata"]["name"]) == ("ConfigMapList", "a")


async def test_deletes_take_their_options(http: Http) -> None:
    await http.create_configmap("a")
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Orphan"}
    await _bytes(http, "DELETE", f"{MAPS}/a", protobuf.encode(options))
    assert (await http("GET", f"{MAPS}/a")).body["metadata"]["finalizers"] == ["orphan"]


async def test_watches(http: Http) -> None:
    await http.create_configmap("a")
    url = http.url(f"{MAPS}?watch=1&timeoutSeconds=1")
    async with http.session.get(url, headers={"Accept": f"{MEDIA},application/json"}) as answer:
        assert answer.headers["Content-Type"] == protobuf.WATCH_MEDIA_TYPE
        async with asyncio.timeout(5):
            size = int.from_bytes(await answer.content.readexactly(4), "big")
            frame = await answer.content.readexactly(size)
    assert b"ADDED" in frame
    assert b"k8s\x00" in frame
