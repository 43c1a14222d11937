"""Approves kubelets' client certificate requests that their user may have approved."""

from __future__ import annotations

from typing import ClassVar

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.certificates import requests
from kubeinstall.controllers.certificates.requests import KUBELET_CLIENT, REQUESTS
from kubeinstall.controllers.controller import ControllerContext, QueueController

_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class CSRApprovingController(QueueController):
    """Keys are names of requests."""

    name: ClassVar[str] = "certificatesigningrequest-approving-controller"
    component: ClassVar[str] = "csrapproving"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._requests = self.informer(REQUESTS)
        self._requests.add_handler(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and not _decided(new):
            self.queue.add(key_of(new))

    async def reconcile(self, key: str) -> float | None:
        """Approve one request when the rules and its user's rights allow it."""
        request = self._requests.get_key(key)
        if request is None or _decided(request):
            return None
        if request["spec"].get("signerName") != KUBELET_CLIENT:
            return None
        try:
            csr = requests.load(request)
        except ValueError as error:
            self.log.debug("unreadable request", name=key, error=str(error))
            return None
        if requests.refusal(KUBELET_CLIENT, csr, set(request["spec"].get("usages") or ())):
            return None
        own = requests.common_name(csr) == request["spec"].get("username")
        # A renewal by the node itself, or a first certificate by a bootstrap token.
        for subresource in (["selfnodeclient"] if own else []) + ["nodeclient"]:
            if await self._allowed(request, subresource):
                await self._approve(request, own=subresource == "selfnodeclient")
                return None
        return None

    async def _allowed(self, request: Object, subresource: str) -> bool:
        spec = request["spec"]
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": spec.get("username"),
                "uid": spec.get("uid"),
                "groups": spec.get("groups"),
                "extra": spec.get("extra"),
                "resourceAttributes": {
                    "group": "certificates.k8s.io",
                    "resource": "certificatesigningrequests",
                    "verb": "create",
                    "subresource": subresource,
                    "version": "*",
                },
            },
        }
        answer = await self.client.request("POST", _REVIEWS, body=review)
        return bool(answer["status"].get("allowed"))

    async def _approve(self, request: Object, *, own: bool) -> None:
        which = "self kubelet client certificate" if own else "kubelet client certificate"
        now = times.now()
        condition = {
            "type": "Approved",
            "status": "True",
            "reason": "AutoApproved",
            "message": f"Auto approving {which} after SubjectAccessReview.",
            "lastUpdateTime": now,
            "lastTransitionTime": now,
        }
        status = request.get("status") or {}
        listed = [*(status.get("conditions") or ()), condition]
        body = {**request, "status": {**status, "conditions": listed}}
        await self.client.update(REQUESTS, body, "approval")


def _decided(request: Object) -> bool:
    return requests.has_condition(request, "Approved") or requests.has_condition(request, "Denied")
