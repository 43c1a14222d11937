"""Deletes everything in a namespace, and reports what is left and why."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient
from kubeinstall.controllers.common.discovery import Discovered, Found
from kubeinstall.errors import MethodNotAllowed, NotFound, StatusError

#: Resource types emptied at once.
PARALLEL = 16


@dataclass(slots=True)
class Remains:
    """What a pass over a namespace found and could not remove."""

    resources: Counter[str] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    discovery_errors: list[str] = field(default_factory=list)
    #: Seconds until the longest-dying pod should be gone.
    wait: float = 0.0

    def nothing(self) -> bool:
        """True when the namespace is empty and everything could be asked."""
        return not (self.resources or self.errors or self.discovery_errors)


async def empty(client: ApiClient, namespace: str, discovered: Discovered) -> Remains:
    """One pass: delete all objects of all types; what is left is dying or has finalizers.

    Pods go before anything else, so that nothing that protects them (a NetworkPolicy) or that they
    need (a Secret) is gone while they still run.
    """
    remains = Remains(discovery_errors=list(discovered.failed))
    types = [r for r in discovered.preferred("list", "delete") if r.namespaced]
    pods = [r for r in types if (r.group, r.plural) == ("", "pods")]
    for resource in pods:
        await _empty_one(client, namespace, resource, remains)
    if remains.resources or remains.errors:
        return remains
    gate = asyncio.Semaphore(PARALLEL)

    async def one(resource: Found) -> None:
        async with gate:
            await _empty_one(client, namespace, resource, remains)

    await asyncio.gather(*(one(resource) for resource in types if resource not in pods))
    return remains


async def _empty_one(client: ApiClient, namespace: str, resource: Found, remains: Remains) -> None:
    try:
        left = await _list(client, namespace, resource)
        if not left:
            return
        await _delete_all(client, namespace, resource, left)
        left = await _list(client, namespace, resource)
    except (NotFound, MethodNotAllowed):
        # The type went away between discovery and now.
        return
    except StatusError as error:
        remains.errors.append(f"{resource.plural}: {error.message}")
        return
    name = f"{resource.plural}.{resource.group}"
    if left:
        remains.resources[name] += len(left)
    for obj in left:
        meta = obj["metadata"]
        remains.finalizers.update(meta.get("finalizers") or ())
        if resource.plural == "pods" and not resource.group:
            remains.wait = max(remains.wait, float(meta.get("deletionGracePeriodSeconds") or 0))


async def _list(client: ApiClient, namespace: str, resource: Found) -> list[Object]:
    listed = await client.list(resource.gvr, namespace, metadata_only=True)
    items: list[Object] = listed["items"]
    return items


async def _delete_all(
    client: ApiClient, namespace: str, resource: Found, left: list[Object]
) -> None:
    if "deletecollection" in resource.verbs:
        await client.delete_collection(resource.gvr, namespace, propagation_policy="Background")
        return
    for obj in left:
        try:
            await client.delete(
                resource.gvr, obj["metadata"]["name"], namespace, propagation_policy="Background"
            )
        except NotFound:
            continue
