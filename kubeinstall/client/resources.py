"""Names of resources: `"<group>/<version>/<plural>"`, core as `"v1/pods"`, and their URL paths."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote


class ResourceName(NamedTuple):
    """The three parts of a resource's name; `group` is empty for core."""

    group: str
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for core: what an object's `apiVersion` says."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def prefix(self) -> str:
        """The path of the group and version: `/apis/apps/v1` or `/api/v1`."""
        root = f"/apis/{self.group}" if self.group else "/api"
        return f"{root}/{self.version}"


@lru_cache(maxsize=1024)
def parse(gvr: str) -> ResourceName:
    """Take `"apps/v1/deployments"` apart; ValueError when it is not two or three parts."""
    parts = gvr.split("/")
    if len(parts) == 2:
        return ResourceName("", parts[0], parts[1])
    if len(parts) == 3:
        return ResourceName(parts[0], parts[1], parts[2])
    raise ValueError(f"not a resource name: {gvr!r}, want group/version/plural")


def gvr_of(api_version: str, plural: str) -> str:
    """The resource name for an object's `apiVersion` and the plural of its kind."""
    return f"{api_version}/{plural}"


def path(gvr: str, namespace: str | None = None, name: str | None = None, sub: str = "") -> str:
    """The URL path of a collection, an object or a subresource.

    `path("v1/pods", "default", "web", "log")` is `/api/v1/namespaces/default/pods/web/log`.
    """
    resource = parse(gvr)
    pieces = [resource.prefix]
    if namespace:
        pieces.append(f"namespaces/{quote(namespace, safe='')}")
    pieces.append(resource.plural)
    if name:
        pieces.append(quote(name, safe=":"))
    if sub:
        pieces.append(sub)
    return "/".join(pieces)
