"""The host's resolvers, read from resolv.conf again when the file changes."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable
from pathlib import Path

#: Seconds between looks at the file, and only while somebody asks for names outside the cluster.
_LOOK_AFTER = 5.0
_MOST = 3


class Resolvers:
    """Addresses to forward to; our own are left out, for we would ask ourselves for ever."""

    def __init__(self, path: Path, own: Iterable[str]) -> None:
        self._path = path
        self._own = frozenset(own)
        self._found: tuple[str, ...] = ()
        self._looked = float("-inf")
        self._stamp: tuple[int, int] | None = None

    def addresses(self) -> tuple[str, ...]:
        """At most three, in the file's order."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_AFTER:
            self._looked = now
            self._read()
        return self._found

    def _read(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._stamp:
                return
            text = self._path.read_text("utf-8", "replace")
        except OSError:
            # Being replaced just now, or gone: keep what was known.
            return
        self._stamp = stamp
        self._found = tuple(parse_resolv_conf(text, self._own))[:_MOST]


def parse_resolv_conf(text: str, own: frozenset[str] = frozenset()) -> list[str]:
    """The nameserver addresses of a resolv.conf, without those in `own`."""
    found: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        address = words[1]
        try:
            plain = str(ipaddress.ip_address(address.partition("%")[0]))
        except ValueError:
            continue
        if plain not in own:
            found.append(address)
    return found
