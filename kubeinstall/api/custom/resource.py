"""The `Resource` of each served version of a CustomResourceDefinition."""

from __future__ import annotations

from kubeinstall.api.custom.schema import CustomType
from kubeinstall.api.resources import Resource, Subresource
from kubeinstall.api.types import Object

_READ_WRITE = ("get", "patch", "update")


def storage_version(definition: Object) -> str:
    """The version that objects are kept in."""
    return str(next(v["name"] for v in definition["spec"]["versions"] if v.get("storage")))


def served_versions(definition: Object) -> list[str]:
    """Names of the versions that are served."""
    return [v["name"] for v in definition["spec"]["versions"] if v.get("served")]


def custom_resource(definition: Object, version: str) -> Resource:
    """The resource of one version, by the names that the definition's status has accepted."""
    spec = definition["spec"]
    names = {**spec["names"], **((definition.get("status") or {}).get("acceptedNames") or {})}
    entry = next(v for v in spec["versions"] if v["name"] == version)
    kind = names["kind"]
    return Resource(
        group=spec["group"],
        version=version,
        name=names["plural"],
        singular=names.get("singular") or kind.lower(),
        kind=kind,
        list_kind=names.get("listKind") or f"{kind}List",
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=_subresources(entry, kind),
        storage_version=f"{spec['group']}/{storage_version(definition)}",
        builtin=False,
        custom=CustomType(
            entry,
            preserve=bool(spec.get("preserveUnknownFields")),
            names={"kind": kind, "apiVersion": f"{spec['group']}/{version}"},
        ),
    )


def _subresources(entry: Object, kind: str) -> tuple[Subresource, ...]:
    wanted = entry.get("subresources") or {}
    found = []
    if wanted.get("status") is not None:
        found.append(Subresource("status", kind, _READ_WRITE))
    if wanted.get("scale") is not None:
        found.append(Subresource("scale", "Scale", _READ_WRITE, "autoscaling", "v1"))
    return tuple(found)
