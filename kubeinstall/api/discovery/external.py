"""Group versions that another server serves: what discovery shows of them."""

from __future__ import annotations

from dataclasses import dataclass

from kubeinstall.api.types import Object


@dataclass(frozen=True)
class External:
    """`resources` are the entries of the other server's APIResourceList; `fresh` says that it answered lately."""

    group: str
    version: str
    resources: list[Object]
    fresh: bool


def aggregated(external: External) -> list[Object]:
    """The entries in the form of the aggregated document, subresources within their resources."""
    found: dict[str, Object] = {}
    for one in external.resources:
        name, _, subresource = one.get("name", "").partition("/")
        kind = {
            "group": one.get("group") or external.group,
            "version": one.get("version") or external.version,
            "kind": one.get("kind", ""),
        }
        entry = found.setdefault(name, {"resource": name})
        if subresource:
            part = {
                "subresource": subresource,
                "responseKind": kind,
                "verbs": one.get("verbs") or [],
            }
            entry.setdefault("subresources", []).append(part)
            continue
        entry["responseKind"] = kind
        entry["scope"] = "Namespaced" if one.get("namespaced") else "Cluster"
        entry["singularResource"] = one.get("singularName", "")
        entry["verbs"] = one.get("verbs") or []
        for field in ("shortNames", "categories"):
            if one.get(field):
                entry[field] = one[field]
    return list(found.values())
