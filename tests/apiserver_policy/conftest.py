"""One API server for all tests of policy, and plain HTTP requests to it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from kubeinstall.api.types import Object
from tests.support.apiserver import RunningServer, run_api_server

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    """Status code and body of an answer."""

    code: int
    body: Any

    @property
    def message(self) -> str:
        """The message of a `Status`."""
        return str(self.body.get("message", ""))


class Api:
    """Requests with a client certificate, or with none."""

    def __init__(self, server: RunningServer, session: aiohttp.ClientSession) -> None:
        self._server, self._session = server, session

    async def __call__(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        async with self._session.request(
            method, f"{self._server.url}{path}", json=body, headers=headers
        ) as answer:
            return Answer(answer.status, await answer.json(content_type=None))

    async def made(self, path: str, body: Object) -> Object:
        """Create, and be sure of it."""
        answer = await self("POST", path, body)
        assert answer.code == 201, answer.body
        found: Object = answer.body
        return found

    async def namespace(self, **labels: str) -> str:
        """A new namespace with its default service account."""
        name = f"policy-{next(_numbers)}"
        await self.made("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        await self.made(
            f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}}
        )
        return name


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = {"enable-admission-plugins": "NodeRestriction"}
    with run_api_server(tmp_path_factory.mktemp("policy"), settings) as found:
        yield found


@contextlib.asynccontextmanager
async def session(server: RunningServer, name: str = "super-admin") -> AsyncIterator[Api]:
    """Requests as one of the server's kubeconfigs; "" without a certificate."""
    import ssl

    tls = (
        server.tls(name)
        if name
        else ssl.create_default_context(cafile=str(server.directory / "pki/ca.crt"))
    )
    connector = aiohttp.TCPConnector(ssl=tls)
    async with aiohttp.ClientSession(connector=connector) as http:
        yield Api(server, http)


@pytest.fixture
async def api(server: RunningServer) -> AsyncIterator[Api]:
    async with session(server) as found:
        yield found


@pytest.fixture
async def nobody(server: RunningServer) -> AsyncIterator[Api]:
    async with session(server, "") as found:
        yield found


@pytest.fixture
async def kubelet(server: RunningServer) -> AsyncIterator[Api]:
    """The kubelet of the node `test-node`."""
    async with session(server, "kubelet") as found:
        yield found
