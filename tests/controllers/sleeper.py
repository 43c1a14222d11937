"""A process that holds a lease and writes as fast as it can; a test stops it and wakes it.

    python sleeper.py KUBECONFIG LEASE

Says `leading` once it does, and at its end why it ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

from kubeinstall.client import (
    ApiClient,
    EventRecorder,
    LeaderElector,
    LeadershipLost,
    kubeconfig,
)
from kubeinstall.client.transport import Transport
from kubeinstall.errors import AlreadyExists

MAPS = "v1/configmaps"


async def main(path: Path, name: str) -> None:
    """Lead, and write."""
    config = kubeconfig.load(path)
    async with ApiClient(config) as leases:
        elector = LeaderElector(
            leases,
            name,
            "first",
            lease_duration=3,
            renew_deadline=2,
            retry_period=0.2,
            events=EventRecorder(leases, "sleeper"),
        )

        async def lead() -> None:
            transport = Transport(config, "sleeper", fence=elector.fence)
            async with ApiClient(config, transport=transport) as client:
                meta = {"name": "sleeper", "namespace": "default"}
                body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
                with contextlib.suppress(AlreadyExists):
                    await client.create(MAPS, body)
                for number in range(100_000):
                    data = {"data": {"n": str(number)}}
                    await client.patch(MAPS, "sleeper", data, "default")
                    if number == 20:
                        sys.stdout.write("leading\n")
                        sys.stdout.flush()

        try:
            await elector.run(lead)
        except LeadershipLost as error:
            sys.stdout.write(f"LeadershipLost: {error}\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
