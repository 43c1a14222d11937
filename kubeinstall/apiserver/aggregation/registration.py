"""An APIService for each served version of custom resources' groups, as upstream's crdRegistrationController.

They say that this server serves the group, and carry `kube-aggregator.kubernetes.io/automanaged: "true"`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kubeinstall.api.types import Object
from kubeinstall.apiserver.aggregation.services import CUSTOM_PRIORITY, GROUP, GroupVersion
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.errors import AlreadyExists, KubeinstallError, NotFound

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from kubeinstall.apiserver.registry import Registry

_MANAGED = "kube-aggregator.kubernetes.io/automanaged"
_RETRY_SECONDS = 1.0


class Registration:
    """Makes and removes APIServices; `run()` works until cancelled."""

    def __init__(self, registry: Registry, log: FilteringBoundLogger) -> None:
        self._registry = registry
        self._log = log
        self._services = kind("apiservices", GROUP)
        self._definitions = kind("customresourcedefinitions", "apiextensions.k8s.io")
        self._pending: dict[GroupVersion, None] = {}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Reconcile one group version after the other; a failure is tried again after a second."""
        self._registry.observe(self._definitions, self._definition_changed)
        self._registry.observe(self._services, self._service_changed)
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                place = next(iter(self._pending))
                del self._pending[place]
                try:
                    await self._reconcile(place)
                except KubeinstallError as error:
                    self._log.warning("APIService not registered", place=place, error=str(error))
                    asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._queue, place)

    def _queue(self, place: GroupVersion) -> None:
        self._pending[place] = None
        self._wake.set()

    def _definition_changed(self, old: Object | None, new: Object | None) -> None:
        for one in (old, new):
            if one is not None:
                for version in one["spec"].get("versions") or []:
                    self._queue((one["spec"]["group"], version.get("name", "")))

    def _service_changed(self, old: Object | None, new: Object | None) -> None:
        """One that was deleted or changed by somebody is put right."""
        one = new or old or {}
        spec = one.get("spec") or {}
        if (one["metadata"].get("labels") or {}).get(_MANAGED) == "true":
            self._queue((spec.get("group", ""), spec.get("version", "")))

    def _wanted(self, place: GroupVersion) -> bool:
        return any(
            definition["spec"]["group"] == place[0]
            and any(
                version.get("name") == place[1] and version.get("served")
                for version in definition["spec"].get("versions") or []
            )
            for definition in self._registry.list(self._definitions)
        )

    async def _reconcile(self, place: GroupVersion) -> None:
        group, version = place
        name = f"{version}.{group}"
        try:
            current = self._registry.get(self._services, name)
        except NotFound:
            if self._wanted(place):
                await self._make(name, place)
            return
        # Somebody's own, with a server behind it perhaps: not ours to change.
        if (current["metadata"].get("labels") or {}).get(_MANAGED) != "true":
            return
        if not self._wanted(place):
            await self._registry.delete(self._services, "", name)
            return
        spec = _spec(place)
        if current["spec"] == spec:
            return

        def restore(found: Object) -> Object:
            return {**found, "spec": spec}

        await self._registry.update(self._services, "", name, restore)

    async def _make(self, name: str, place: GroupVersion) -> None:
        try:
            await self._registry.create(
                self._services,
                {
                    "apiVersion": self._services.api_version,
                    "kind": self._services.kind,
                    "metadata": {"name": name, "labels": {_MANAGED: "true"}},
                    "spec": _spec(place),
                },
            )
        except AlreadyExists:
            return


def _spec(place: GroupVersion) -> Object:
    return {
        "group": place[0],
        "version": place[1],
        "groupPriorityMinimum": CUSTOM_PRIORITY.group,
        "versionPriority": CUSTOM_PRIORITY.version,
    }
