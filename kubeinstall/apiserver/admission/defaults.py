"""Plug-ins that fill in cluster-wide defaults and protect storage: DefaultStorageClass,
DefaultIngressClass, StorageObjectInUseProtection, PersistentVolumeClaimResize."""

from __future__ import annotations

from collections.abc import Iterable

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.plugin import Plugin, refuse
from kubeinstall.apiserver.admission.shared import Shared
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import CREATE, UPDATE, AdmissionAttributes

_CLAIM = ("", "persistentvolumeclaims", "")
_STORAGE, _NETWORKING = "storage.k8s.io", "networking.k8s.io"
_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_DEFAULT_MARKS = {
    "storage": (
        "storageclass.kubernetes.io/is-default-class",
        "storageclass.beta.kubernetes.io/is-default-class",
    ),
    "ingress": ("ingressclass.kubernetes.io/is-default-class",),
}
_FINALIZERS = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
    "volumeattributesclasses": "kubernetes.io/vac-protection",
}


def _newest_default(classes: Iterable[Object], marks: tuple[str, ...]) -> Object | None:
    """The default class; the newest (then the first by name) when there are several."""
    found = [
        candidate
        for candidate in classes
        if any((candidate["metadata"].get("annotations") or {}).get(m) == "true" for m in marks)
    ]
    found.sort(key=lambda c: str(c["metadata"]["name"]))
    found.sort(key=lambda c: str(c["metadata"].get("creationTimestamp", "")), reverse=True)
    return found[0] if found else None


class DefaultStorageClass(Plugin):
    """A claim that names no class gets the default one."""

    name = "DefaultStorageClass"
    targets = frozenset({_CLAIM})
    operations = frozenset({CREATE})

    def __init__(self, registry: Registry) -> None:
        self._classes = Shared(registry, kind("storageclasses", _STORAGE))

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Set the class; an empty name is a choice, too."""
        claim = attributes.object
        if claim is None or claim["spec"].get("storageClassName") is not None:
            return
        if _BETA_CLASS in (claim["metadata"].get("annotations") or {}):
            return
        found = _newest_default(self._classes.within().values(), _DEFAULT_MARKS["storage"])
        if found is not None:
            claim["spec"]["storageClassName"] = found["metadata"]["name"]


class DefaultIngressClass(Plugin):
    """An ingress that names no class gets the default one."""

    name = "DefaultIngressClass"
    targets = frozenset({(_NETWORKING, "ingresses", "")})
    operations = frozenset({CREATE})

    def __init__(self, registry: Registry) -> None:
        self._classes = Shared(registry, kind("ingressclasses", _NETWORKING))

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Set the class."""
        ingress = attributes.object
        if ingress is None or ingress.get("spec", {}).get("ingressClassName") is not None:
            return
        if "kubernetes.io/ingress.class" in (ingress["metadata"].get("annotations") or {}):
            return
        found = _newest_default(self._classes.within().values(), _DEFAULT_MARKS["ingress"])
        if found is not None:
            ingress.setdefault("spec", {})["ingressClassName"] = found["metadata"]["name"]


class StorageObjectInUseProtection(Plugin):
    """Volumes and claims get a finalizer that keeps them while they are in use."""

    name = "StorageObjectInUseProtection"
    targets = frozenset(
        {
            _CLAIM,
            ("", "persistentvolumes", ""),
            (_STORAGE, "volumeattributesclasses", ""),
        }
    )
    operations = frozenset({CREATE})

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Add the finalizer."""
        obj = attributes.object
        if obj is None:
            return
        finalizer = _FINALIZERS[attributes.resource.name]
        present = obj["metadata"].get("finalizers") or []
        if finalizer not in present:
            obj["metadata"]["finalizers"] = [*present, finalizer]


class PersistentVolumeClaimResize(Plugin):
    """Claims grow only when bound, and when their storage class allows it."""

    name = "PersistentVolumeClaimResize"
    targets = frozenset({_CLAIM})
    operations = frozenset({UPDATE})

    def __init__(self, registry: Registry) -> None:
        self._classes = Shared(registry, kind("storageclasses", _STORAGE))

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raises `Forbidden`."""
        new, old = attributes.object, attributes.old
        if new is None or old is None or not _size(old) < _size(new):
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            raise refuse(attributes, "only bound persistent volume claims can be expanded")
        names = {_class_name(new), _class_name(old)}
        name = names.pop()
        found = self._classes.get(name) if name and not names else None
        if found is None or not found.get("allowVolumeExpansion"):
            raise refuse(
                attributes,
                "only dynamically provisioned pvc can be resized and the storageclass that "
                "provisions the pvc must support resize",
            )


def _size(claim: Object) -> Quantity:
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return Quantity.parse(requests.get("storage", 0))


def _class_name(claim: Object) -> str:
    beta = (claim["metadata"].get("annotations") or {}).get(_BETA_CLASS)
    return beta or claim["spec"].get("storageClassName") or ""
