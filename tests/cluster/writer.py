"""Runs on a host of the cluster: writes through the host's own load balancer and tells what was acknowledged.

    python writer.py KUBECONFIG SECONDS WRITERS PREFIX

Prints one JSON document: `acknowledged` (names), `gap` (the longest that any writer waited, seconds), `errors` (how
many attempts failed), `reasons` (the first of them); and of a client that watches all the while, going on from the
last version it has seen: `missed` (acknowledged names that it was never told of), `disorder` (events that came twice
or too late), `relists` (how often its version was too old). A failed attempt is tried again under the same name:
"already exists" then means that the first attempt had been carried out after all.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time

from kubeinstall.client import ApiClient
from kubeinstall.errors import AlreadyExists, Expired, StatusError

RETRY_SECONDS = 0.1
CATCH_UP_SECONDS = 20.0
REASONS = 5


class Writer:
    """What one writer did: names with the times of their acknowledgements, and failed attempts."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.errors = 0
        self.reasons: list[str] = []
        self.done: list[tuple[float, str]] = []

    def gap(self, begun: float, ended: float) -> float:
        """The longest time without an acknowledgement."""
        times = [begun, *(when for when, _ in self.done), ended]
        return max(b - a for a, b in itertools.pairwise(times))


async def write(client: ApiClient, writer: Writer, until: float) -> None:
    """One writer."""
    number = 0
    while time.monotonic() < until:
        name = f"{writer.prefix}-{number}"
        body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"n": str(number)}}
        body["metadata"] = {"name": name, "namespace": "default"}
        try:
            async with asyncio.timeout(5):
                await client.create("v1/configmaps", body)
        except AlreadyExists:
            pass
        except (StatusError, OSError, TimeoutError) as error:
            writer.errors += 1
            writer.reasons.append(f"{type(error).__name__}: {error}"[:300])
            await asyncio.sleep(RETRY_SECONDS)
            continue
        writer.done.append((time.monotonic(), name))
        number += 1
        await asyncio.sleep(0.005)


class Watcher:
    """A client that watches, and goes on where it was when its connection ends."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.disorder = 0
        self.relists = 0

    async def run(self, client: ApiClient) -> None:
        """Until cancelled."""
        version = ""
        while True:
            try:
                if not version:
                    page = await client.list("v1/configmaps", "default")
                    version = page["metadata"]["resourceVersion"]
                async for kind, obj in client.watch(
                    "v1/configmaps", "default", resource_version=version
                ):
                    metadata = obj["metadata"]
                    if kind != "BOOKMARK":
                        self.disorder += int(metadata["resourceVersion"]) <= int(version)
                        self.seen.add(metadata["name"])
                    version = metadata["resourceVersion"]
            except Expired:
                self.relists += 1
                version = ""
            except (StatusError, OSError):
                await asyncio.sleep(RETRY_SECONDS)

    async def missed(self, names: set[str]) -> list[str]:
        """Which of the names it has not been told of, after some patience."""
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while names - self.seen and time.monotonic() < deadline:
            await asyncio.sleep(RETRY_SECONDS)
        return sorted(names - self.seen)


async def main(kubeconfig: str, seconds: float, writers: int, prefix: str) -> None:
    """Write for so long."""
    all_writers = [Writer(f"{prefix}-{n}") for n in range(writers)]
    watcher = Watcher()
    async with ApiClient.from_kubeconfig(kubeconfig, "writer") as client:
        watching = asyncio.create_task(watcher.run(client))
        await asyncio.sleep(1)  # its first version is from before the first write
        begun = time.monotonic()
        await asyncio.gather(*(write(client, w, begun + seconds) for w in all_writers))
        ended = time.monotonic()
        names = [name for w in all_writers for _, name in w.done]
        missed = await watcher.missed(set(names))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    answer = {
        "acknowledged": names,
        "gap": round(max(w.gap(begun, ended) for w in all_writers), 2),
        "errors": sum(w.errors for w in all_writers),
        "reasons": [reason for w in all_writers for reason in w.reasons][:REASONS],
        "missed": missed,
        "disorder": watcher.disorder,
        "relists": watcher.relists,
    }
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
