"""Forgets UDP flows that still go where a service no longer sends them.

A UDP "connection" lives as long as its packets keep coming, so a client that never stops would talk to a
removed endpoint for ever, or stay un-translated when the service had no endpoints at first. Upstream:
`pkg/proxy/conntrack/cleanup.go`. TCP needs none of this: its connections end.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from shutil import which

from kubeinstall.runtime.logs import get_logger

log = get_logger("kube-proxy")

_FLOW = re.compile(
    r"src=(?P<client>\S+) dst=(?P<dst>\S+) sport=\d+ dport=(?P<port>\d+).*?"
    r"src=(?P<reply>\S+) dst=\S+ sport=(?P<reply_port>\d+)"
)
_TIMEOUT = 30.0  # seconds for one run of the tool


@dataclass(frozen=True, slots=True)
class UdpTarget:
    """A UDP destination of services: `address` is "" for a node port. `allowed` are its endpoints."""

    address: str
    port: int
    allowed: frozenset[tuple[str, int]]


class Conntrack:
    """Runs the `conntrack` tool (package conntrack); without it, cleaning is skipped and said once."""

    def __init__(self, prefix: tuple[str, ...] = ()) -> None:
        self._prefix = prefix
        self._missing = False

    async def forget_stale(self, targets: Iterable[UdpTarget], family: str) -> int:
        """Delete flows to `targets` that do not go to an allowed endpoint; how many kinds were deleted.

        `family` is nftables' word. A target without endpoints has its DNATed flows deleted too: they
        must be refused from now on.
        """
        by_place = {(target.address, target.port): target for target in targets}
        if not by_place:
            return 0
        words = ("-f", "ipv4" if family == "ip" else "ipv6")
        listing = await self._run("-L", "-p", "udp", *words)
        stale = set(_stale(listing, by_place))
        for destination, port, reply in stale:
            await self._run(
                "-D", "-p", "udp", *words, "--orig-dst", destination,
                "--orig-port-dst", str(port), "--reply-src", reply,
            )  # fmt: skip
        return len(stale)

    async def _run(self, *arguments: str) -> str:
        if not self._prefix and which("conntrack") is None:
            if not self._missing:
                log.warning("Stale UDP flows stay: the tool conntrack is not installed")
            self._missing = True
            return ""
        process = await asyncio.create_subprocess_exec(
            *self._prefix, "conntrack", *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            output, _ = await asyncio.wait_for(process.communicate(), _TIMEOUT)
        except TimeoutError:
            process.kill()
            await process.wait()
            log.warning("conntrack took too long", arguments=arguments)
            return ""
        return output.decode(errors="replace")


def _stale(
    listing: str, by_place: dict[tuple[str, int], UdpTarget]
) -> Iterable[tuple[str, int, str]]:
    for line in listing.splitlines():
        match = _FLOW.search(line)
        if match is None:
            continue
        destination, port = match["dst"], int(match["port"])
        target = by_place.get((destination, port)) or by_place.get(("", port))
        if target is None:
            continue
        answered_by = (match["reply"], int(match["reply_port"]))
        translated = answered_by != (destination, port)
        # An untranslated flow is stale once there are endpoints; a node port's flow may belong to
        # another host's service, so only what was translated counts there.
        unserved = bool(target.allowed and target.address)
        if (answered_by not in target.allowed) if translated else unserved:
            yield destination, port, match["reply"]
