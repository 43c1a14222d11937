"""Carries out a plan of EndpointSlice writes."""

from __future__ import annotations

from kubeinstall.client import ApiClient
from kubeinstall.controllers.common.podcontrol import namespace_terminating
from kubeinstall.controllers.endpoints.slices import SLICES, Plan
from kubeinstall.controllers.endpoints.tracker import WriteTracker
from kubeinstall.errors import Forbidden, NotFound


async def write(client: ApiClient, tracker: WriteTracker, service: str, plan: Plan) -> None:
    """Create, update, delete; new slices first, so that no endpoint is missing in between."""
    for made in plan.create:
        try:
            tracker.wrote(service, await client.create(SLICES, made))
        except Forbidden as error:
            if namespace_terminating(error):
                return
            raise
    for changed in plan.update:
        tracker.wrote(service, await client.update(SLICES, changed))
    for gone in plan.delete:
        meta = gone["metadata"]
        tracker.forget(service, gone)
        try:
            await client.delete(SLICES, meta["name"], meta["namespace"], uid=meta["uid"])
        except NotFound:
            continue
