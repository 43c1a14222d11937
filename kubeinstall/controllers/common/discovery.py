"""What resources the API server has, from aggregated discovery: one request for all groups."""

from __future__ import annotations

from dataclasses import dataclass

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient
from kubeinstall.errors import StatusError

_ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True, slots=True)
class Found:
    """One resource in one version; `preferred` marks the version that its group prefers for it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: frozenset[str]
    preferred: bool

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def gvr(self) -> str:
        """The name that the client takes."""
        return f"{self.api_version}/{self.plural}"


@dataclass(frozen=True, slots=True)
class Discovered:
    """All resources, and the groups that could not be asked (an aggregated server is down)."""

    resources: tuple[Found, ...]
    failed: tuple[str, ...]

    def preferred(self, *verbs: str) -> list[Found]:
        """One version of each resource that has all these verbs."""
        wanted = frozenset(verbs)
        return [r for r in self.resources if r.preferred and wanted <= r.verbs]

    def by_kind(self) -> dict[tuple[str, str], Found]:
        """(apiVersion, kind) to the resource; for owner references."""
        return {(r.api_version, r.kind): r for r in self.resources}


async def discover(client: ApiClient) -> Discovered:
    """Ask `/api` and `/apis`; StatusError when the server answers neither."""
    resources: list[Found] = []
    failed: list[str] = []
    for path in ("/api", "/apis"):
        answer = await client.request("GET", path, accept=_ACCEPT)
        if answer.get("kind") != "APIGroupDiscoveryList":
            raise StatusError(f"{path}: the server has no aggregated discovery")
        for group in answer.get("items") or ():
            _take_group(group, resources, failed)
    return Discovered(tuple(resources), tuple(failed))


def _take_group(group: Object, resources: list[Found], failed: list[str]) -> None:
    name = (group.get("metadata") or {}).get("name") or ""
    seen: set[str] = set()
    # Versions come in order of preference; a resource is preferred in the first that has it.
    for version in group.get("versions") or ():
        if version.get("freshness") == "Stale":
            failed.append(f"{name}/{version['version']}")
        for resource in version.get("resources") or ():
            plural = resource["resource"]
            kind = resource.get("responseKind") or {}
            resources.append(
                Found(
                    group=name,
                    version=version["version"],
                    plural=plural,
                    kind=kind.get("kind") or "",
                    namespaced=resource.get("scope") == "Namespaced",
                    verbs=frozenset(resource.get("verbs") or ()),
                    preferred=plural not in seen,
                )
            )
            seen.add(plural)
