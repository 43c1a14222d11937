"""What an admission plug-in is, and helpers that they share."""

from __future__ import annotations

from typing import Any, ClassVar

from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz import forbidden_object
from kubeinstall.apiserver.request import CREATE, UPDATE, AdmissionAttributes
from kubeinstall.errors import Forbidden

POD = ("", "pods", "")


class Plugin:
    """One plug-in. Subclasses say what they handle, and override `mutate`, `validate` or both.

    `targets` are (group, plural, subresource) triples; `operations` the operations. A plug-in that
    looks at more than a few resources overrides `handles`, which is asked once for each kind of
    request and remembered.
    """

    name: ClassVar[str]
    targets: ClassVar[frozenset[tuple[str, str, str]]] = frozenset()
    operations: ClassVar[frozenset[str]] = frozenset({CREATE, UPDATE})

    def handles(self, group: str, plural: str, subresource: str, operation: str) -> bool:
        """Whether this kind of request concerns the plug-in."""
        return operation in self.operations and (group, plural, subresource) in self.targets

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Change `attributes.object`, or raise to refuse."""

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raise to refuse the object in its final form."""

    async def close(self) -> None:
        """Give back what the plug-in holds: connections."""


def refuse(attributes: AdmissionAttributes, why: str) -> Forbidden:
    """`pods "x" is forbidden: why`. An object without name yet is told by its generateName."""
    resource = attributes.resource
    return forbidden_object(resource.group, resource.name, display_name(attributes), why)


def display_name(attributes: AdmissionAttributes) -> str:
    """The object's name as messages have it."""
    if attributes.name:
        return attributes.name
    metadata: dict[str, Any] = (attributes.object or {}).get("metadata") or {}
    return metadata.get("name") or metadata.get("generateName") or "Unknown"


def joined(messages: list[str]) -> str:
    """Several reasons as one: `a`, or `[a, b]` without repetitions."""
    unique = list(dict.fromkeys(messages))
    return unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"


def all_containers(spec: Object) -> list[Object]:
    """Init containers, then containers."""
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def is_mirror(pod: Object) -> bool:
    """Whether the pod only shows a node's static pod."""
    return "kubernetes.io/config.mirror" in (pod["metadata"].get("annotations") or {})
