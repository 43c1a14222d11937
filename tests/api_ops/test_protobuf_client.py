"""A client that speaks protobuf only, as upstream's own do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from kubeinstall.api import protobuf
from tests.support.apiserver import RunningServer, run_api_server

PODS = "/api/v1/namespaces/default/podtemplates"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with run_api_server() as running:
        yield running


async def test_create_get_list_update_watch_delete(server: RunningServer) -> None:
    headers = {"Accept": protobuf.MEDIA_TYPE, "Content-Type": protobuf.MEDIA_TYPE}
    connector = aiohttp.TCPConnector(ssl=server.tls())
    async with aiohttp.ClientSession(server.url, connector=connector, headers=headers) as session:

        async def send(method: str, path: str, obj: Any = None) -> Any:
            data = protobuf.encode(obj) if obj is not None else None
            async with session.request(method, path, data=data) as answer:
                assert answer.status in (200, 201), await answer.text()
                assert answer.headers["Content-Type"] == protobuf.MEDIA_TYPE
                return protobuf.decode(await answer.read())

        container = {"name": "c", "image": "i", "resources": {"limits": {"cpu": "1500m"}}}
        probe = {"httpGet": {"port": "http"}, "periodSeconds": 7}
        template = {"spec": {"containers": [{**container, "livenessProbe": probe}]}}
        made = await send(
            "POST",
            PODS,
            {
                "apiVersion": "v1",
                "kind": "PodTemplate",
                "metadata": {"name": "t", "labels": {"a": "b"}},
                "template": template,
            },
        )
        (found,) = made["template"]["spec"]["containers"]
        assert found["livenessProbe"]["httpGet"]["port"] == "http"
        assert found["resources"]["limits"] == {"cpu": "1500m"}
        assert made["metadata"]["uid"]
        made["metadata"]["labels"]["c"] = "d"
        changed = await send("PUT", f"{PODS}/t", made)
        listed = await send("GET", PODS)
        assert listed["kind"] == "PodTemplateList"
        assert listed["items"][0]["metadata"] == changed["metadata"]
        async with session.get(
            f"{PODS}?watch=1&timeoutSeconds=1", headers={"Accept": protobuf.WATCH_MEDIA_TYPE}
        ) as answer:
            frames = await answer.read()
        size = int.from_bytes(frames[:4], "big")
        assert frames[4:11] == b"\n\x05ADDED"
        assert b"k8s\x00" in frames[: 4 + size]
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        gone = await send("DELETE", f"{PODS}/t", options)
        assert gone["metadata"]["name"] == "t"
