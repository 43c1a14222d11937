"""Deletes requests that were decided an hour ago, were ignored for a day, or whose certificate ended."""

from __future__ import annotations

import base64
from typing import ClassVar

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.certificates.requests import REQUESTS
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.errors import NotFound

_DECIDED_SECONDS = 3600.0
_PENDING_SECONDS = 86_400.0


class CSRCleanerController(QueueController):
    """Keys are names of requests."""

    name: ClassVar[str] = "certificatesigningrequest-cleaner-controller"
    component: ClassVar[str] = "csrcleaner"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._requests = self.informer(REQUESTS)
        self._requests.add_handler(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))

    async def reconcile(self, key: str) -> float | None:
        """Delete the request when its time is up, else wait for it."""
        request = self._requests.get_key(key)
        if request is None:
            return None
        left = _expires(request) - times.parse(times.now_micro()).timestamp()
        if left > 0:
            return left + 1
        try:
            await self.client.delete(REQUESTS, key, uid=request["metadata"]["uid"])
        except NotFound:
            return None
        return None


def _expires(request: Object) -> float:
    status = request.get("status") or {}
    ends = [times.unix(request["metadata"]["creationTimestamp"]) + _PENDING_SECONDS]
    for condition in status.get("conditions") or ():
        moment = condition.get("lastUpdateTime") or condition.get("lastTransitionTime")
        if condition["type"] in {"Approved", "Denied", "Failed"} and moment:
            ends = [times.unix(moment) + _DECIDED_SECONDS]
    if status.get("certificate"):
        from cryptography import x509  # Heavy, and most clusters rarely see a request.

        pem = base64.b64decode(status["certificate"])
        ends.append(x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp())
    return min(ends)
