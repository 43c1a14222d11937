"""Built-in resources by name, for code that needs one that must exist."""

from __future__ import annotations

from functools import cache

from kubeinstall.api import resources
from kubeinstall.api.resources import Resource

RBAC_GROUP = "rbac.authorization.k8s.io"


@cache
def kind(plural: str, group: str = "", version: str = "v1") -> Resource:
    """The built-in resource; `LookupError` when this build does not serve it."""
    found = resources.find(group, version, plural)
    if found is None:
        raise LookupError(f"no built-in resource {plural}.{version}.{group}")
    return found
