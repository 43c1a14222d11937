"""The client against a scripted HTTP server: framing, paging, retries, errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
import pytest
from aiohttp import web

from kubeinstall.client import ApiClient, ClientConfig, Informer, Unreachable
from kubeinstall.errors import Conflict, Expired, Invalid, NotFound

Request = web.BaseRequest
Handle = Callable[[Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handle: Handle) -> AsyncIterator[ApiClient]:
    server = web.Server(handle)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with ApiClient(ClientConfig(server=f"http://127.0.0.1:{port}", token="t")) as client:
            yield client
    finally:
        await runner.cleanup()


def pod(name: str, version: str, **extra: object) -> dict[str, object]:
    meta = {"name": name, "namespace": "d", "uid": f"u-{name}", "resourceVersion": version}
    return {"metadata": meta, **extra}


def status(code: int, reason: str, **details: object) -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": "m", "details": details}
    return web.json_response(body, status=code)


async def test_list_joins_pages_and_names_items() -> None:
    seen: list[dict[str, str]] = []

    async def handle(request: Request) -> web.StreamResponse:
        seen.append(dict(request.query))
        assert request.headers["Authorization"] == "Bearer t"
        first = "continue" not in request.query
        meta = {"resourceVersion": "9"} | ({"continue": "c"} if first else {})
        items = [pod("a" if first else "b", "1")]
        return web.json_response(
            {"kind": "PodList", "apiVersion": "v1", "metadata": meta, "items": items}
        )

    async with serving(handle) as client:
        listed = await client.list("v1/pods", "d", label_selector="x=y")
    assert [i["metadata"]["name"] for i in listed["items"]] == ["a", "b"]
    assert listed["items"][0]["kind"] == "Pod"
    assert listed["items"][0]["apiVersion"] == "v1"
    assert seen[0] == {"labelSelector": "x=y", "limit": "500"}
    assert seen[1]["continue"] == "c"


async def test_errors_come_from_the_status() -> None:
    async def handle(request: Request) -> web.StreamResponse:
        if request.method == "GET":
            return status(404, "NotFound", name="x", kind="pods")
        if request.method == "PUT":
            return status(409, "Conflict")
        cause = {"reason": "FieldValueRequired", "message": "Required value", "field": "spec"}
        return status(422, "Invalid", causes=[cause])

    async with serving(handle) as client:
        with pytest.raises(NotFound) as missing:
            await client.get("v1/pods", "x", "d")
        with pytest.raises(Conflict):
            await client.update("v1/pods", pod("x", "1"))
        with pytest.raises(Invalid) as invalid:
            await client.create("v1/pods", pod("x", "1"))
    assert missing.value.details == {"name": "x", "kind": "pods"}
    assert invalid.value.errors[0].path == "spec"


async def test_throttled_request_is_repeated() -> None:
    tries = 0

    async def handle(request: Request) -> web.StreamResponse:
        nonlocal tries
        tries += 1
        if tries == 1:
            return web.Response(status=429, headers={"Retry-After": "0"}, text="busy")
        return web.json_response(pod("x", "1"))

    async with serving(handle) as client:
        made = await client.create("v1/pods", pod("x", ""))
    assert made["metadata"]["resourceVersion"] == "1"
    assert tries == 2


async def test_no_server_is_unreachable() -> None:
    async with ApiClient(ClientConfig(server="http://127.0.0.1:9")) as client:
        with pytest.raises(Unreachable):
            await client.create("v1/pods", pod("x", ""))


async def test_watch_reframes_split_and_joined_lines() -> None:
    big = "x" * 3_000_000
    frames = b"".join(
        orjson.dumps({"type": t, "object": o}) + b"\n"
        for t, o in [
            ("ADDED", pod("a", "1", big=big)),
            ("MODIFIED", pod("a", "2")),
            ("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "old"}),
        ]
    )

    async def handle(request: Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for start in range(0, len(frames), 700_001):
            await answer.write(frames[start : start + 700_001])
        return answer

    got: list[tuple[str, str]] = []

    async def follow(client: ApiClient) -> None:
        async for kind, obj in client.watch("v1/pods", resource_version="0"):
            got.append((kind, obj["metadata"]["resourceVersion"]))

    async with serving(handle) as client:
        with pytest.raises(Expired):
            await follow(client)
    assert got == [("ADDED", "1"), ("MODIFIED", "2")]


async def test_informer_resumes_relists_and_tells_what_changed() -> None:
    lists = [[pod("a", "1"), pod("b", "2")], [pod("b", "7"), pod("c", "8")]]
    watches: list[str] = []

    async def handle(request: Request) -> web.StreamResponse:
        if "watch" not in request.query:
            items = lists.pop(0)
            return web.json_response(
                {"kind": "PodList", "metadata": {"resourceVersion": "10"}, "items": items}
            )
        watches.append(request.query["resourceVersion"])
        answer = web.StreamResponse()
        await answer.prepare(request)
        events: list[tuple[str, dict[str, object]]] = []
        if len(watches) == 1:
            events = [("BOOKMARK", {"metadata": {"resourceVersion": "20"}})]
        elif len(watches) == 2:
            gone = {"kind": "Status", "code": 410, "reason": "Gone", "message": "old"}
            events = [("ERROR", gone)]
        for kind, obj in events:
            await answer.write(orjson.dumps({"type": kind, "object": obj}) + b"\n")
        if len(watches) > 2:
            await asyncio.sleep(30)
        return answer

    seen: list[tuple[str | None, str | None]] = []

    def note(old: dict[str, object] | None, new: dict[str, object] | None) -> None:
        names = [str(o["metadata"]["name"]) if o else None for o in (old, new)]  # type: ignore[index]  # untyped JSON
        seen.append((names[0], names[1]))

    async with serving(handle) as client:
        informer = Informer(client, "v1/pods", indexers={"name": lambda o: [o["metadata"]["name"]]})
        informer.add_handler(note)
        task = asyncio.create_task(informer.run())
        await informer.wait_synced()
        async with asyncio.timeout(10):
            while len(watches) < 3:
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert watches == ["10", "20", "10"]
    assert seen == [(None, "a"), (None, "b"), ("a", None), ("b", "b"), (None, "c")]
    assert informer.by_index("name", "a") == []
    assert len(informer.by_index("name", "c")) == 1
    assert informer.get("b", "d") is not None
