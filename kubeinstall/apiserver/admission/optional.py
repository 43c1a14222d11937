"""Plug-ins that upstream leaves off: AlwaysAdmit, AlwaysDeny, AlwaysPullImages, NamespaceExists,
ExtendedResourceToleration, DenyServiceExternalIPs."""

from __future__ import annotations

from kubeinstall.apiserver.admission.plugin import POD, Plugin, all_containers, refuse
from kubeinstall.apiserver.admission.shared import Shared
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import CREATE, DELETE, UPDATE, AdmissionAttributes
from kubeinstall.errors import NotFound

_EPHEMERAL = ("", "pods", "ephemeralcontainers")


class AlwaysAdmit(Plugin):
    """Does nothing; kept because configurations name it."""

    name = "AlwaysAdmit"


class AlwaysDeny(Plugin):
    """Refuses every write."""

    name = "AlwaysDeny"

    def handles(self, group: str, plural: str, subresource: str, operation: str) -> bool:
        """Everything."""
        return True

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raises `Forbidden`."""
        raise refuse(attributes, "admission control is denying all modifications")


class AlwaysPullImages(Plugin):
    """Nobody uses an image that another tenant pulled."""

    name = "AlwaysPullImages"
    targets = frozenset({POD, _EPHEMERAL})

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Set the pull policy of every container."""
        spec = (attributes.object or {}).get("spec") or {}
        for container in (*all_containers(spec), *(spec.get("ephemeralContainers") or ())):
            container["imagePullPolicy"] = "Always"


class NamespaceExists(Plugin):
    """Nothing in namespaces that do not exist (NamespaceLifecycle does this and more)."""

    name = "NamespaceExists"
    operations = frozenset({CREATE, UPDATE, DELETE})

    def __init__(self, registry: Registry) -> None:
        self._namespaces = Shared(registry, kind("namespaces"))

    def handles(self, group: str, plural: str, subresource: str, operation: str) -> bool:
        """All writes of namespaced resources."""
        return operation in self.operations

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raises `NotFound`."""
        name = attributes.namespace
        if attributes.resource.namespaced and name and self._namespaces.get(name) is None:
            raise NotFound.for_object("", "namespaces", name)


class ExtendedResourceToleration(Plugin):
    """Pods that use a device tolerate the taints of nodes set aside for it."""

    name = "ExtendedResourceToleration"
    targets = frozenset({POD})

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Tolerate a taint of each extended resource's name."""
        spec = (attributes.object or {}).get("spec") or {}
        wanted: set[str] = set()
        for container in all_containers(spec):
            requests = (container.get("resources") or {}).get("requests") or {}
            wanted.update(name for name in requests if _is_extended(name))
        present = spec.get("tolerations") or []
        keys = {t.get("key") for t in present if t.get("operator") == "Exists"}
        added = [{"key": key, "operator": "Exists"} for key in sorted(wanted - keys)]
        if added:
            spec["tolerations"] = [*present, *added]


def _is_extended(name: str) -> bool:
    domain, slash, _ = name.partition("/")
    return bool(slash) and not (domain == "kubernetes.io" or domain.endswith(".kubernetes.io"))


class DenyServiceExternalIPs(Plugin):
    """Services get no new external IPs."""

    name = "DenyServiceExternalIPs"
    targets = frozenset({("", "services", "")})

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raises `Forbidden`."""
        new = ((attributes.object or {}).get("spec") or {}).get("externalIPs") or []
        old = ((attributes.old or {}).get("spec") or {}).get("externalIPs") or []
        if any(ip not in old for ip in new):
            raise refuse(attributes, "Use of external IPs is denied by admission control")
