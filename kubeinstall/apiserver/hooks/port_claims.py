"""Who has which node port: one key a port, `/registry/ranges/servicenodeports/<port>`.

The store lets only one create of a key succeed, so that of two services that want a port at the same
moment, through two API servers, exactly one gets it; upstream does the same by compare-and-swap of a
bitmap of all ports. The key says whose the port is, so that nobody gives back what is another's.
"""

from __future__ import annotations

from typing import NamedTuple

import orjson

from kubeinstall.api.types import Object
from kubeinstall.errors import KeyConflict, KeyExists
from kubeinstall.storage.store import KeyValue, Store

PREFIX = "/registry/ranges/servicenodeports/"


class Claim(NamedTuple):
    """A port that is taken: for whom, since which revision of the store."""

    port: int
    namespace: str
    name: str
    uid: str
    revision: int


class PortClaims:
    """The keys. Every method raises `StoreError` when the datastore cannot."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def take(self, port: int, service: Object) -> bool:
        """Take a port for a service; False when it is taken."""
        try:
            await self._store.create(f"{PREFIX}{port}", _body(service))
        except KeyExists:
            return False
        return True

    async def get(self, port: int) -> Claim | None:
        """Whose the port is."""
        found = await self._store.get(f"{PREFIX}{port}")
        return _claim(found) if found is not None else None

    async def all(self) -> dict[int, Claim]:
        """All ports that are taken."""
        page = await self._store.scan(PREFIX)
        claims = [_claim(item) for item in page.items]
        return {claim.port: claim for claim in claims}

    async def give_back(self, port: int, service: Object) -> None:
        """Give a port back, if it is this service's."""
        claim = await self.get(port)
        if claim is not None and claim.uid == service["metadata"].get("uid", ""):
            await self.drop(claim)

    async def drop(self, claim: Claim) -> bool:
        """End a claim as it was seen; False when it is another one by now."""
        try:
            await self._store.delete(f"{PREFIX}{claim.port}", expected=claim.revision)
        except KeyConflict:
            return False
        return True

    async def hand_over(self, claim: Claim, service: Object) -> bool:
        """Give a claim to the service that really has the port; False when it has changed."""
        key = f"{PREFIX}{claim.port}"
        try:
            await self._store.update(key, _body(service), expected=claim.revision)
        except KeyConflict:
            return False
        return True


def _body(service: Object) -> bytes:
    metadata = service["metadata"]
    return orjson.dumps({name: metadata.get(name, "") for name in ("namespace", "name", "uid")})


def _claim(item: KeyValue) -> Claim:
    port = int(item.key.removeprefix(PREFIX))
    try:
        holder = orjson.loads(item.value)
        namespace, name, uid = (str(holder[field]) for field in ("namespace", "name", "uid"))
    except (ValueError, KeyError, TypeError):
        namespace = name = uid = ""  # unreadable: nobody's, which repair will find
    return Claim(port, namespace, name, uid, item.mod_revision)
