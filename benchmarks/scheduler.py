"""The scheduler: decisions alone, and whole bindings through a real API server.

    python -m benchmarks.scheduler            # 5,000 nodes, 5,000 pods; about a minute
    python -m benchmarks.scheduler --quick    # a tenth of both

"decision" is one core's work for one pod over all nodes. "bound" is from the first binding that a watcher sees to
the last, with API server, scheduler and watcher sharing the machine.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from kubeinstall.client import ApiClient
from tests.scheduler.bench import NODES, PODS, World
from tests.support.apiserver import RunningServer, run_api_server
from tests.unit.scheduler.cluster import Cluster

Rows = list[tuple[str, str]]
_PARALLEL = 24
_SCHEDULER = """
import sys
from kubeinstall.runtime.host import run_components
from kubeinstall.scheduler.component import Scheduler
values = {"kubeconfig": sys.argv[1], "leader-elect": False, "secure-port": 0}
run_components(["kube-scheduler"], lambda name: Scheduler, {"kube-scheduler": values}, "benchmark")
"""

TERM = {
    "topologyKey": "kubernetes.io/hostname",
    "labelSelector": {"matchLabels": {"app": "x"}},
}
SPREAD = {
    "topologyKey": "topology.kubernetes.io/zone",
    "maxSkew": 1,
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app": "x"}},
}
SHAPES: dict[str, dict[str, Any]] = {
    "plain pods": {},
    "pods of a ReplicaSet": {"owners": [{"kind": "ReplicaSet", "name": "web", "controller": True}]},
    "required anti-affinity": {
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [TERM]}}
    },
    "topology spread": {"topologySpreadConstraints": [SPREAD]},
}


def decisions(nodes: int) -> Rows:
    """Microseconds a decision, by kind of pod."""
    cluster = Cluster()
    for number in range(nodes):
        zone = {"topology.kubernetes.io/zone": f"z{number % 3}"}
        cluster.node(f"n{number}", cpu="32", memory="64Gi", labels=zone)
    web = {"name": "web", "namespace": "default"}
    selector = {"matchLabels": {"app": "x"}}
    cluster.replica_sets.objects = [{"metadata": web, "spec": {"selector": selector}}]
    rows: Rows = []
    for label, spec in SHAPES.items():
        pods = [
            cluster.pod(cpu="100m", memory="100Mi", labels={"app": "x"}, **dict(spec))
            for _ in range(min(2000, nodes))
        ]
        started = time.perf_counter()
        for pod in pods:
            cluster.schedule(pod)
        each = (time.perf_counter() - started) / len(pods)
        rows.append((f"decision, {label}", f"{each * 1e6:.0f} µs ({1 / each:,.0f}/s)"))
        for pod in pods:
            cluster.state.forget(pod.key)
    return rows


async def bindings(server: RunningServer, nodes: int, pods: int) -> Rows:
    """Pods a second through the API server."""
    async with server.client() as client:
        world = World(client, "bench")
        await world.open()
        await _make(nodes, lambda number: _node(client, number))
        await _make(pods, lambda number: world.pod(f"p{number}"))
        version = (await client.list(PODS, "kube-system"))["metadata"]["resourceVersion"]
        process = subprocess.Popen(
            [sys.executable, "-c", _SCHEDULER, str(server.kubeconfig("scheduler"))],
            stderr=subprocess.DEVNULL,
        )
        try:
            seconds = await asyncio.wait_for(_watch(client, version, pods), 120)
            await asyncio.sleep(3)
            seen = psutil.Process(process.pid)
            before = seen.cpu_times()
            await asyncio.sleep(5)
            after = seen.cpu_times()
            memory = seen.memory_info().rss / 2**20
        finally:
            process.terminate()
            process.wait()
    idle = (after.user + after.system - before.user - before.system) / 5
    return [
        (f"bound, {pods:,} plain pods on {nodes:,} nodes", f"{pods / seconds:,.0f} pods/s"),
        ("scheduler memory afterwards", f"{memory:.0f} MB"),
        ("scheduler idle", f"{idle:.1%} of a core"),
    ]


async def _watch(client: ApiClient, version: str, pods: int) -> float:
    bound: set[str] = set()
    first = 0.0
    async for _, pod in client.watch(PODS, "bench", resource_version=version):
        if pod["spec"].get("nodeName"):
            first = first or time.perf_counter()
            bound.add(pod["metadata"]["name"])
            if len(bound) == pods:
                break
    return time.perf_counter() - first


async def _node(client: ApiClient, number: int) -> None:
    capacity = {"cpu": "32", "memory": "64Gi", "pods": "110"}
    name = f"n{number}"
    labels = {
        "kubernetes.io/hostname": name,
        "topology.kubernetes.io/zone": f"z{number % 3}",
    }
    made = await client.create(NODES, {"metadata": {"name": name, "labels": labels}, "spec": {}})
    made["status"] = {"capacity": capacity, "allocatable": capacity}
    await client.update_status(NODES, made)
    await client.patch(NODES, name, {"spec": {"taints": None}})


async def _make(count: int, one: Any) -> None:
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await one(number)

    await asyncio.gather(*(work() for _ in range(_PARALLEL)))


def main() -> None:
    """Run everything and print the table."""
    count = 500 if "--quick" in sys.argv else 5000
    rows = decisions(count)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        run_api_server(Path(directory)) as server,
    ):
        rows += uvloop.run(bindings(server, count, count))
    table = Table("work", "measured", title=f"Scheduler, {count:,} nodes")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
