"""Runs on a host of the cluster: writes through the host's own load balancer and tells what was acknowledged.

    python writer.py KUBECONFIG SECONDS WRITERS PREFIX

Prints one JSON document: `acknowledged` (names), `gap` (the longest that any writer waited, seconds),
`errors` (how many attempts failed). A failed attempt is tried again under the same name: "already exists" then means
that the first attempt had been carried out after all.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time

from kubeinstall.client import ApiClient
from kubeinstall.errors import AlreadyExists, StatusError

RETRY_SECONDS = 0.1


class Writer:
    """What one writer did: names with the times of their acknowledgements, and failed attempts."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.errors = 0
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
        except (StatusError, OSError, TimeoutError):
            writer.errors += 1
            await asyncio.sleep(RETRY_SECONDS)
            continue
        writer.done.append((time.monotonic(), name))
        number += 1
        await asyncio.sleep(0.005)


async def main(kubeconfig: str, seconds: float, writers: int, prefix: str) -> None:
    """Write for so long."""
    all_writers = [Writer(f"{prefix}-{n}") for n in range(writers)]
    begun = time.monotonic()
    async with ApiClient.from_kubeconfig(kubeconfig, "writer") as client:
        await asyncio.gather(*(write(client, w, begun + seconds) for w in all_writers))
    ended = time.monotonic()
    answer = {
        "acknowledged": [name for w in all_writers for _, name in w.done],
        "gap": round(max(w.gap(begun, ended) for w in all_writers), 2),
        "errors": sum(w.errors for w in all_writers),
    }
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
