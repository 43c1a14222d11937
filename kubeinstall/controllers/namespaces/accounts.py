"""Each active namespace has a service account named `default`."""

from __future__ import annotations

from typing import ClassVar

from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.common import owners
from kubeinstall.controllers.common.podcontrol import namespace_terminating
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.namespaces.deletion import NAMESPACES
from kubeinstall.errors import AlreadyExists, Forbidden, NotFound

ACCOUNTS = "v1/serviceaccounts"
DEFAULT = "default"


class ServiceAccountController(QueueController):
    """Keys are names of namespaces."""

    name: ClassVar[str] = "serviceaccount-controller"
    component: ClassVar[str] = "serviceaccount-controller"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._namespaces = self.informer(NAMESPACES)
        self._accounts = self.informer(ACCOUNTS)
        self._namespaces.add_handler(self._namespace_changed)
        self._accounts.add_handler(self._account_changed)

    def _namespace_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))

    def _account_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None and old["metadata"]["name"] == DEFAULT:
            self.queue.add(old["metadata"]["namespace"])

    async def reconcile(self, key: str) -> float | None:
        """Make the account when it is missing."""
        namespace = self._namespaces.get(key)
        if namespace is None or not is_active(namespace):
            return None
        if self._accounts.get(DEFAULT, key) is not None:
            return None
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": DEFAULT, "namespace": key},
        }
        await create_quietly(self, ACCOUNTS, account)
        return None


def is_active(namespace: Object) -> bool:
    """Not on its way out."""
    phase = (namespace.get("status") or {}).get("phase")
    return phase != "Terminating" and not owners.deleting(namespace)


async def create_quietly(controller: QueueController, gvr: str, obj: Object) -> None:
    """Create; that it exists, or that its namespace is going or gone, is as good."""
    try:
        await controller.client.create(gvr, obj)
    except (AlreadyExists, NotFound):
        return
    except Forbidden as error:
        if not namespace_terminating(error):
            raise
