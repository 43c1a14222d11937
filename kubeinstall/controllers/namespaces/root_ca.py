"""Publishes the cluster's CA as ConfigMap `kube-root-ca.crt` in each namespace."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from kubeinstall.api.types import Object
from kubeinstall.client import key_of
from kubeinstall.controllers.controller import ControllerContext, QueueController
from kubeinstall.controllers.namespaces.accounts import create_quietly, is_active
from kubeinstall.controllers.namespaces.deletion import NAMESPACES
from kubeinstall.errors import SettingsError

CONFIG_MAPS = "v1/configmaps"
NAME = "kube-root-ca.crt"
DESCRIPTION = "kubernetes.io/description"
DESCRIPTION_TEXT = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal "
    "endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "
    "guaranteed across distributions of Kubernetes clusters."
)


class RootCAPublisher(QueueController):
    """Keys are names of namespaces. Does nothing without `--root-ca-file`."""

    name: ClassVar[str] = "root-ca-certificate-publisher-controller"
    component: ClassVar[str] = "root-ca-cert-publisher"

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._bundle = ""
        self._namespaces = self.informer(NAMESPACES)
        # Only maps of this name: a cluster may hold many others.
        self._maps = context.informers.informer(CONFIG_MAPS, field_selector=f"metadata.name={NAME}")
        self._namespaces.add_handler(self._namespace_changed)
        self._maps.add_handler(self._map_changed)

    async def run(self) -> None:
        """Publish until cancelled."""
        file = self.settings.root_ca_file
        if file is None:
            self.log.warning("no root-ca-file: kube-root-ca.crt is not published")
            return
        try:
            self._bundle = await asyncio.to_thread(file.read_text, "ascii")
        except OSError as error:
            raise SettingsError(f"root-ca-file: cannot read {file}: {error.strerror}") from error
        await self._maps.wait_synced()
        await super().run()

    def _namespace_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))

    def _map_changed(self, old: Object | None, new: Object | None) -> None:
        found = new or old
        if found is not None and (new is None or not self._right(new)):
            self.queue.add(found["metadata"]["namespace"])

    def _right(self, found: Object) -> bool:
        notes = found["metadata"].get("annotations") or {}
        return found.get("data") == {"ca.crt": self._bundle} and bool(notes.get(DESCRIPTION))

    async def reconcile(self, key: str) -> float | None:
        """Make or mend the ConfigMap of one namespace."""
        namespace = self._namespaces.get(key)
        if namespace is None or not is_active(namespace):
            return None
        found = self._maps.get(NAME, key)
        if found is None:
            made = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": NAME,
                    "namespace": key,
                    "annotations": {DESCRIPTION: DESCRIPTION_TEXT},
                },
                "data": {"ca.crt": self._bundle},
            }
            await create_quietly(self, CONFIG_MAPS, made)
        elif not self._right(found):
            meta = found["metadata"]
            notes = {**(meta.get("annotations") or {}), DESCRIPTION: DESCRIPTION_TEXT}
            changed = {
                **found,
                "metadata": {**meta, "annotations": notes},
                "data": {"ca.crt": self._bundle},
            }
            await self.client.update(CONFIG_MAPS, changed)
        return None
