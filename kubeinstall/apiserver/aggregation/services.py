"""Which group versions other servers serve, as their APIServices say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubeinstall.api.discovery import External, Priority
from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.bootstrap.apiservices import specs
from kubeinstall.apiserver.request import RequestInfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubeinstall.apiserver.catalog import Catalog
    from kubeinstall.apiserver.registry import Registry

GROUP = "apiregistration.k8s.io"
GroupVersion = tuple[str, str]
#: Of the groups of custom resources, as upstream registers them.
CUSTOM_PRIORITY = Priority(1000, 100)


@dataclass(frozen=True, slots=True)
class Remote:
    """An APIService that names a service. `host` is its name for DNS and for its certificate."""

    name: str
    group: str
    version: str
    namespace: str
    service: str
    port: int
    bundle: str
    insecure: bool
    available: bool

    @property
    def host(self) -> str:
        """`name.namespace.svc`: what the certificate must be for."""
        return f"{self.service}.{self.namespace}.svc"

    @property
    def origin(self) -> str:
        """`https://name.namespace.svc:port`."""
        return f"https://{self.host}:{self.port}"

    @property
    def path(self) -> str:
        """Where its group version is: `/apis/GROUP/VERSION`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


class Aggregation:
    """Follows APIServices; tells `catalog` of order, and requests where they go."""

    def __init__(self, registry: Registry, catalog: Catalog) -> None:
        self._catalog = catalog
        self._local = {
            (spec.get("group", ""), spec["version"]): _priority(spec) for spec in specs().values()
        }
        self.remotes: dict[GroupVersion, Remote] = {}
        self._listeners: list[Callable[[Object | None, Object | None], None]] = []
        self.kind = kind("apiservices", GROUP)
        registry.observe(self.kind, self._changed)

    def listen(self, callback: Callable[[Object | None, Object | None], None]) -> None:
        """Call `callback(old, new)` after each change of an APIService has been noted here."""
        self._listeners.append(callback)

    def find(self, info: RequestInfo) -> Remote | None:
        """Who serves what a request asks for, when it is not this server."""
        if info.is_resource:
            return self.remotes.get((info.group, info.version))
        parts = info.path.removeprefix("/openapi/v3").strip("/").split("/")
        if len(parts) == 3 and parts[0] == "apis":
            return self.remotes.get((parts[1], parts[2]))
        if len(parts) == 2 and parts[0] == "api":
            return self.remotes.get(("", parts[1]))
        return None

    def _changed(self, old: Object | None, new: Object | None) -> None:
        known = new or old or {}
        spec = known.get("spec") or {}
        place = (spec.get("group", ""), spec.get("version", ""))
        remote = remote_of(new) if new is not None else None
        if remote is None:
            self.remotes.pop(place, None)
            self._catalog.external.pop(place, None)
            self._catalog.external_openapi.pop(place, None)
        else:
            self.remotes[place] = remote
            # Listed from now on, if only as one that has not answered yet.
            self._catalog.external.setdefault(place, External(*place, [], False))
        self._order(place, None if new is None else _priority(spec))
        for listener in self._listeners:
            listener(old, new)

    def _order(self, place: GroupVersion, wanted: Priority | None) -> None:
        if wanted is None or wanted == self._local.get(place, CUSTOM_PRIORITY):
            self._catalog.priorities.pop(place, None)
        else:
            self._catalog.priorities[place] = wanted
        self._catalog.forget_documents()


def _priority(spec: Object) -> Priority:
    return Priority(spec.get("groupPriorityMinimum", 0), spec.get("versionPriority", 0))


def remote_of(obj: Object) -> Remote | None:
    """What an APIService says; None for one that is served here."""
    spec = obj.get("spec") or {}
    service = spec.get("service")
    if not service:
        return None
    conditions = (obj.get("status") or {}).get("conditions") or []
    return Remote(
        obj["metadata"]["name"],
        spec.get("group", ""),
        spec.get("version", ""),
        service.get("namespace", ""),
        service.get("name", ""),
        service.get("port") or 443,
        spec.get("caBundle") or "",
        bool(spec.get("insecureSkipTLSVerify")),
        any(c.get("type") == "Available" and c.get("status") == "True" for c in conditions),
    )
