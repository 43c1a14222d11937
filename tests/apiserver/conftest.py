from __future__ import annotations

import asyncio
import io
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.support.apiserver import RunningServer, api_server

__all__ = ["api_server"]


@dataclass
class Answer:
    """A whole answer."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Http:
    """Raw requests to a server, in a namespace of the test's own."""

    server: RunningServer
    session: aiohttp.ClientSession
    namespace: str

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send; `NS` in the path stands for the namespace. Header names have _ for -."""
        data = None
        if body is not None:
            text = body if isinstance(body, str) else json.dumps(body)
            data = io.BytesIO(text.encode())
            headers.setdefault("Content_Type", "application/json")
        async with self.session.request(
            method,
            self.url(path),
            data=data,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        ) as answer:
            content = await answer.text()
            is_json = answer.content_type == "application/json"
            parsed = json.loads(content) if is_json and content else content
            return Answer(answer.status, parsed, dict(answer.headers))

    def url(self, path: str) -> URL:
        """The whole URL."""
        return URL(self.server.url + path.replace("NS", self.namespace), encoded=True)

    async def create_configmap(self, name: str, **metadata: Any) -> dict[str, Any]:
        """A ConfigMap of the namespace."""
        answer = await self(
            "POST",
            "/api/v1/namespaces/NS/configmaps",
            {"metadata": {"name": name, **metadata}, "data": {"k": "v"}},
        )
        assert answer.status == 201, answer.body
        body: dict[str, Any] = answer.body
        return body


@pytest.fixture
async def http(api_server: RunningServer) -> AsyncIterator[Http]:
    connector = aiohttp.TCPConnector(ssl=api_server.tls())
    async with aiohttp.ClientSession(
        connector=connector, skip_auto_headers=("Content-Type",)
    ) as session:
        client = Http(api_server, session, f"t-{uuid.uuid4().hex[:8]}")
        made = await client("POST", "/api/v1/namespaces", {"metadata": {"name": client.namespace}})
        assert made.status == 201, made.body
        yield client
    await asyncio.sleep(0.05)  # TLS connections close on the loop, after the session
