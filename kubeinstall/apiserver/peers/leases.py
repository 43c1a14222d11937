"""The keys by which running API servers know of each other: `/registry/masterleases/<address>`.

Each server writes its own with a time to live and writes it again before that ends; the datastore
removes the key of a server that died. As upstream's lease endpoint reconciler does.
"""

from __future__ import annotations

import ipaddress

import orjson

from kubeinstall.errors import KeyConflict, KeyExists
from kubeinstall.storage.store import Store

PREFIX = "/registry/masterleases/"
#: Upstream's, in seconds.
TTL_SECONDS = 15
_ATTEMPTS = 5


class MasterLeases:
    """Who lives. Every method raises `StoreError` when the datastore cannot."""

    def __init__(self, store: Store, ttl: int = TTL_SECONDS) -> None:
        """`ttl`: seconds that a server counts as alive after its last `renew`."""
        self._store = store
        self._ttl = ttl

    async def renew(self, address: str) -> None:
        """Say that the server at `address` lives."""
        key = PREFIX + address
        for attempt in range(_ATTEMPTS):
            found = await self._store.get(key)
            try:
                if found is None:
                    await self._store.create(key, _body(address, 1), ttl=self._ttl)
                else:
                    # Another generation: a write of equal bytes is a write as well, but a reader
                    # of the datastore can see by it that somebody renews.
                    body = _body(address, _generation(found.value) + 1)
                    await self._store.update(key, body, expected=found.mod_revision, ttl=self._ttl)
            except (KeyExists, KeyConflict):
                # It ended, or another process with this address writes too.
                if attempt + 1 == _ATTEMPTS:
                    raise
                continue
            return

    async def live(self) -> list[str]:
        """The addresses of all servers that live, in order."""
        page = await self._store.scan(PREFIX)
        found = [item.key.removeprefix(PREFIX) for item in page.items]
        return sorted(found, key=_order)

    async def remove(self, address: str) -> bool:
        """Say that the server at `address` ended; whether it counted as alive."""
        for _ in range(_ATTEMPTS):
            found = await self._store.get(PREFIX + address)
            if found is None:
                return False
            try:
                await self._store.delete(PREFIX + address, expected=found.mod_revision)
            except KeyConflict:
                continue
            return True
        return False


def _body(address: str, generation: int) -> bytes:
    """An Endpoints object, as upstream stores."""
    return orjson.dumps(
        {"metadata": {"generation": generation}, "subsets": [{"addresses": [{"ip": address}]}]}
    )


def _generation(value: bytes) -> int:
    try:
        return int(orjson.loads(value)["metadata"]["generation"])
    except (ValueError, KeyError, TypeError):
        return 0  # written by something else: it is replaced


def _order(address: str) -> tuple[int, int, str]:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return 9, 0, address
    return parsed.version, int(parsed), ""
