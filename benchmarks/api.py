"""The API server alone: reads, writes, lists, fan-out, memory.

    python -m benchmarks.api            # prints a table; about two minutes
    python -m benchmarks.api --quick    # a tenth of the objects

The server runs in a process of its own with TLS and an SQLite store on disk; the load generator shares the machine's
cores with it, as in the figures for upstream that docs/benchmarks.md quotes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.load import Result, Watcher, for_seconds, request, run
from tests.support.apiserver import RunningServer, run_api_server

NAMESPACE = "bench"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
CONFIG_MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"


def pod(name: str) -> bytes:
    """A pod of about 3 KB once stored."""
    container = {
        "name": "app",
        "image": "registry.example.com/team/application:v1.2.3",
        "command": ["/bin/app", "--listen=:8080", "--log-level=info"],
        "env": [{"name": f"SETTING_{i}", "value": f"value-{i}"} for i in range(8)],
        "ports": [{"name": "http", "containerPort": 8080}],
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"memory": "256Mi"},
        },
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 5},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/app"}],
    }
    spec = {
        "nodeName": "node-1",
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "app"}}],
    }
    labels = {"app": "application", "tier": "backend", "version": "v1.2.3"}
    return json.dumps({"metadata": {"name": name, "labels": labels}, "spec": spec}).encode()


def config_map(name: str, value: str = "x" * 800) -> bytes:
    """A ConfigMap of about a kilobyte."""
    return json.dumps({"metadata": {"name": name}, "data": {"key": value}}).encode()


class Bench:
    """Runs the measurements against one server and keeps the rows."""

    def __init__(self, server: RunningServer, *, quick: bool) -> None:
        self.server = server
        self.tls = server.tls()
        self.count = 1_000 if quick else 10_000
        self.seconds = 1.0 if quick else 5.0
        self.rows: list[tuple[str, str]] = []

    def memory(self) -> str:
        """Resident memory of the server, in MB."""
        return f"{psutil.Process(self.server.process.pid).memory_info().rss / 1e6:.0f} MB"

    def note(self, what: str, figure: str) -> None:
        """Keep a row, and show that something happens."""
        self.rows.append((what, figure))
        print(f"{what}: {figure}", file=sys.stderr)

    async def load(self, requests: Iterator[bytes], connections: int) -> Result:
        """Run requests; an error answer ends the benchmark, since its figures would be lies."""
        result = await run(self.server.port, self.tls, requests, connections)
        if result.errors:
            raise RuntimeError(f"{result.errors} requests failed:\n{self.server.log()[-2000:]}")
        return result

    async def all(self) -> None:
        """Every measurement, in an order in which one prepares the next."""
        await self.load(
            iter(
                [
                    request(
                        "POST",
                        "/api/v1/namespaces",
                        json.dumps({"metadata": {"name": NAMESPACE}}).encode(),
                    )
                ]
            ),
            1,
        )
        await asyncio.sleep(1)
        await self.load(
            iter(
                [
                    request(
                        "POST",
                        f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts",
                        json.dumps({"metadata": {"name": "default"}}).encode(),
                    )
                ]
            ),
            1,
        )
        self.note("memory, idle", self.memory())
        await self.create()
        await self.get()
        await self.list_all()
        await self.list_none()
        self.note(f"memory with {self.count:,} pods after lists", self.memory())
        await self.fan_out()

    async def create(self) -> None:
        """ConfigMaps over 16 connections, pods over 24."""
        names = (f"c{i}" for i in range(self.count // 2))
        result = await self.load((request("POST", CONFIG_MAPS, config_map(n)) for n in names), 16)
        self.note(
            "create ConfigMaps, 16 connections",
            f"{result.rate:,.0f}/s, p99 {result.percentile(0.99):.0f} ms",
        )
        names = (f"p{i}" for i in range(self.count))
        result = await self.load((request("POST", PODS, pod(n)) for n in names), 24)
        self.note(
            f"create {self.count:,} pods, 24 connections",
            f"{result.rate:,.0f}/s, p99 {result.percentile(0.99):.0f} ms",
        )

    async def get(self) -> None:
        """One pod over 16 connections."""
        one = request("GET", f"{PODS}/p1")
        result = await self.load(for_seconds(lambda: one, self.seconds), 16)
        self.note(
            "GET one pod, 16 connections",
            f"{result.rate:,.0f}/s, p99 {result.percentile(0.99):.1f} ms",
        )

    async def list_all(self) -> None:
        """All pods, one connection, median of seven."""
        result = await self.load(iter([request("GET", PODS)] * 7), 1)
        middle = result.percentile(0.5)
        size = result.bytes / 7 / 1e6
        self.note(
            f"LIST of {self.count:,} pods ({size:.0f} MB)",
            f"{middle:.0f} ms, {size / middle * 1000:,.0f} MB/s",
        )

    async def list_none(self) -> None:
        """A selector that matches nothing."""
        none = request("GET", f"{PODS}?labelSelector=app%3Dnone")
        result = await self.load(for_seconds(lambda: none, self.seconds), 8)
        self.note(f"LIST, selector matches none of {self.count:,}", f"{result.rate:,.0f}/s")

    async def fan_out(self, watchers: int = 500, updates: int = 200) -> None:
        """Updates of one object to 500 watchers."""
        loop = asyncio.get_running_loop()
        got = 0
        last = 0.0
        complete = loop.create_future()

        def on_frames(count: int) -> None:
            nonlocal got, last
            got += count
            last = time.perf_counter()
            if got >= watchers * updates and not complete.done():
                complete.set_result(None)

        await self.load(iter([request("POST", CONFIG_MAPS, config_map("watched"))]), 1)
        await asyncio.sleep(0.5)
        revision = await self.revision()
        path = f"{CONFIG_MAPS}?watch=1&fieldSelector=metadata.name%3Dwatched&resourceVersion={revision}"
        transports = []
        for _ in range(watchers):
            transport, watcher = await loop.create_connection(
                lambda: Watcher(path, on_frames),
                "127.0.0.1",
                self.server.port,
                ssl=self.tls,
                server_hostname="localhost",
            )
            await watcher.opened
            transports.append(transport)
        self.note(f"memory with {watchers} watchers", self.memory())
        started = time.perf_counter()
        put = f"{CONFIG_MAPS}/watched"
        updated = (request("PUT", put, config_map("watched", f"{n:0800d}")) for n in range(updates))
        await self.load(updated, 4)
        async with asyncio.timeout(60):
            await complete
        rate = got / (last - started)
        self.note(f"one object's updates to {watchers} watchers", f"{rate:,.0f} deliveries/s")
        for transport in transports:
            transport.close()

    async def revision(self) -> str:
        """The store's revision now."""
        async with self.server.client() as client:
            listed: Any = await client.list("v1/configmaps", namespace="default")
        meta = listed["metadata"] if isinstance(listed, dict) else listed.metadata
        return str(meta["resourceVersion"])


def main() -> None:
    """Run everything and print the table."""
    quick = "--quick" in sys.argv
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        run_api_server(Path(directory)) as server,
    ):
        bench = Bench(server, quick=quick)
        uvloop.run(bench.all())
    table = Table("work", "measured", title="API server")
    for row in bench.rows:
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
