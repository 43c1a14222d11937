"""NamespaceLifecycle: nothing new in namespaces that are missing or ending."""

from __future__ import annotations

from kubeinstall.apiserver.admission.plugin import Plugin, refuse
from kubeinstall.apiserver.admission.shared import Shared
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import CREATE, DELETE, UPDATE, AdmissionAttributes
from kubeinstall.errors import NotFound

_IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle(Plugin):
    """Refuses creation in a terminating or missing namespace, and deletion of the system's."""

    name = "NamespaceLifecycle"
    operations = frozenset({CREATE, UPDATE, DELETE})

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._namespaces = Shared(registry, kind("namespaces"))

    def handles(self, group: str, plural: str, subresource: str, operation: str) -> bool:
        """All but access reviews, which ask about namespaces that need not exist."""
        return operation in self.operations and plural != "localsubjectaccessreviews"

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Raises `Forbidden` or `NotFound`."""
        resource = attributes.resource
        if attributes.operation == DELETE:
            if (
                resource.name == "namespaces"
                and not resource.group
                and attributes.name in _IMMORTAL
            ):
                raise refuse(attributes, "this namespace may not be deleted")
            return
        name = attributes.namespace
        if not name or not resource.namespaced:
            return
        namespace = self._namespaces.get(name)
        if namespace is None:
            # One that was created a moment ago through another API server.
            try:
                namespace = await self._registry.get_live(kind("namespaces"), name)
            except NotFound:
                raise NotFound.for_object("", "namespaces", name) from None
        if attributes.operation != CREATE:
            return
        if (namespace.get("status") or {}).get("phase") == "Terminating":
            error = refuse(
                attributes,
                f"unable to create new content in namespace {name} because it is being terminated",
            )
            error.details = {
                **(error.details or {}),
                "causes": [
                    {
                        "reason": "NamespaceTerminating",
                        "message": f"namespace {name} is being terminated",
                        "field": "metadata.namespace",
                    }
                ],
            }
            raise error
