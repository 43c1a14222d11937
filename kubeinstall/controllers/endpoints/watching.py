"""Turns changes of Services and pods into keys of Services: shared by both endpoint controllers."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.common import owners
from kubeinstall.controllers.common.pods import PODS
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.endpoints import facts


def _by_namespace(obj: Object) -> tuple[str, ...]:
    return (obj["metadata"].get("namespace") or "",)


class ServiceWatcher(QueueController):
    """A controller whose keys are Services, woken by the pods that they select."""

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.services = self.informer(facts.SERVICES, {"namespace": _by_namespace})
        self.pods = self.informer(PODS, {"namespace": _by_namespace})
        self.services.add_handler(self._service_changed)
        self.pods.add_handler(self._pod_changed)

    def _service_changed(self, old: Object | None, new: Object | None) -> None:
        self.queue.add(key_of(new or old or {}))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None and facts.relevant(old) == facts.relevant(new):
            return
        labels = [owners.labels_of(pod) for pod in (old, new) if pod is not None]
        pod = new or old or {}
        for service in self.services.list(pod["metadata"]["namespace"]):
            selector = service["spec"].get("selector")
            if selector and any(selector.items() <= found.items() for found in labels):
                self.queue.add(key_of(service))

    def selected(self, service: Object) -> list[Object]:
        """The pods that a Service selects, by name."""
        selector = service["spec"]["selector"].items()
        found = [
            pod
            for pod in self.pods.list(service["metadata"]["namespace"])
            if selector <= owners.labels_of(pod).items()
        ]
        return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))
