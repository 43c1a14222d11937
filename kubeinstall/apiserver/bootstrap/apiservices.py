"""One APIService per served group and version, with upstream's priorities.

They drive the order of discovery. Those made here carry
`kube-aggregator.kubernetes.io/automanaged: onstart` and need no backing service.
"""

from __future__ import annotations

from kubeinstall.api import resources, times
from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.errors import AlreadyExists, NotFound

_GROUP = "apiregistration.k8s.io"
_MANAGED = "kube-aggregator.kubernetes.io/automanaged"

#: group → groupPriorityMinimum
_GROUP_PRIORITY = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "resource.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
}
#: (group, version) → versionPriority, where it is not 15
_VERSION_PRIORITY = {
    ("", "v1"): 1,
    ("autoscaling", "v2"): 30,
    ("flowcontrol.apiserver.k8s.io", "v1"): 21,
    ("resource.k8s.io", "v1"): 21,
}


def specs() -> dict[str, Object]:
    """Specs of the APIServices of all built-in groups by name (`v1.apps`, `v1.`)."""
    found: dict[str, Object] = {}
    for resource in resources.builtin():
        if resource.group not in _GROUP_PRIORITY:
            continue
        spec: Object = {
            "version": resource.version,
            "groupPriorityMinimum": _GROUP_PRIORITY[resource.group],
            "versionPriority": _VERSION_PRIORITY.get((resource.group, resource.version), 15),
        }
        if resource.group:
            spec["group"] = resource.group
        found[f"{resource.version}.{resource.group}"] = spec
    return found


async def ensure_api_services(registry: Registry) -> None:
    """Create what is missing, and say that local services are available."""
    resource = kind("apiservices", _GROUP)
    for name, spec in specs().items():
        try:
            registry.get(resource, name)
        except NotFound:
            obj = {
                "apiVersion": resource.api_version,
                "kind": resource.kind,
                "metadata": {"name": name, "labels": {_MANAGED: "onstart"}},
                "spec": spec,
            }
            try:
                await registry.create(resource, obj)
            except AlreadyExists:
                continue
        await registry.update(resource, "", name, _available, subresource="status")


def _available(current: Object) -> Object | None:
    conditions = (current.get("status") or {}).get("conditions") or []
    if (current.get("spec") or {}).get("service") or any(
        c.get("type") == "Available" and c.get("reason") == "Local" for c in conditions
    ):
        return None
    current["status"] = {
        "conditions": [
            {
                "type": "Available",
                "status": "True",
                "lastTransitionTime": times.now(),
                "reason": "Local",
                "message": "Local APIServices are always available",
            }
        ]
    }
    return current
