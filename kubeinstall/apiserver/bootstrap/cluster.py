"""Objects that every cluster has from its first second: namespaces, priority classes, the
`kubernetes` service, the service CIDR, and how extension servers authenticate.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Callable

from kubeinstall.api import times
from kubeinstall.api.resources import Resource
from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.config import ApiServerSettings
from kubeinstall.apiserver.registry import Registry
from kubeinstall.errors import AlreadyExists, Invalid, NotFound

#: How often an object that cannot be made is looked for, and how long between.
_TRIES = 25
_TRY_SECONDS = 0.2

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "default")
_SERVICE_LABELS = {"component": "apiserver", "provider": "kubernetes"}
_PRIORITIES = {
    "system-node-critical": (
        2000001000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    "system-cluster-critical": (
        2000000000,
        (
            "Used for system critical pods that must run in the cluster, but can be moved to "
            "another node if necessary."
        ),
    ),
}


async def ensure_namespaces(registry: Registry) -> None:
    """The four namespaces that the system needs."""
    for name in SYSTEM_NAMESPACES:
        await ensure(registry, kind("namespaces"), {"metadata": {"name": name}})


async def ensure_priority_classes(registry: Registry) -> None:
    """The two priority classes of the system."""
    resource = kind("priorityclasses", "scheduling.k8s.io")
    for name, (value, description) in _PRIORITIES.items():
        await ensure(
            registry,
            resource,
            {"metadata": {"name": name}, "value": value, "description": description},
        )


async def ensure_service_cidr(registry: Registry, settings: ApiServerSettings) -> None:
    """The default ServiceCIDR, which says where cluster IPs come from, marked as ready."""
    resource = kind("servicecidrs", "networking.k8s.io")
    cidrs = [str(ipaddress.ip_network(c)) for c in settings.service_cluster_ip_range]
    await ensure(registry, resource, {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": cidrs}})
    if (registry.get(resource, "kubernetes").get("status") or {}).get("conditions"):
        return
    condition = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": times.now(),
        "reason": "",
        "message": "Kubernetes default Service CIDR is ready",
    }
    config = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": "kubernetes"},
        "status": {"conditions": [condition]},
    }
    manager = "kubernetes-service-cidr-controller"
    await registry.apply(resource, config, manager=manager, subresource="status")


async def ensure_kubernetes_service(
    registry: Registry, settings: ApiServerSettings, *, ports: bool = True
) -> None:
    """Service `default/kubernetes`; where it leads is written by `apiserver.peers`.

    Without `ports` one that is there stays as it is: servers that serve on different ports do not take turns.
    """
    networks = [ipaddress.ip_network(cidr) for cidr in settings.service_cluster_ip_range]
    service: Object = {
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": dict(_SERVICE_LABELS)},
        "spec": {
            "clusterIP": str(networks[0][1]),
            "ipFamilyPolicy": "SingleStack",
            "ports": [
                {
                    "name": "https",
                    "protocol": "TCP",
                    "port": 443,
                    "targetPort": settings.secure_port,
                }
            ],
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
    }

    def with_ports(current: Object) -> Object | None:
        wanted = service["spec"]["ports"]
        if current["spec"].get("ports") == wanted:
            return None
        current["spec"]["ports"] = wanted
        return current

    await ensure(registry, kind("services"), service, with_ports if ports else None)


async def ensure_extension_authentication(registry: Registry, settings: ApiServerSettings) -> None:
    """ConfigMap kube-system/extension-apiserver-authentication, read by extension API servers."""
    data: dict[str, str] = {}
    if settings.client_ca_file is not None:
        data["client-ca-file"] = settings.client_ca_file.read_text()
    if settings.requestheader_client_ca_file is not None:
        data["requestheader-client-ca-file"] = settings.requestheader_client_ca_file.read_text()
        for name, values in (
            ("requestheader-allowed-names", settings.requestheader_allowed_names),
            ("requestheader-extra-headers-prefix", settings.requestheader_extra_headers_prefix),
            ("requestheader-group-headers", settings.requestheader_group_headers),
            ("requestheader-username-headers", settings.requestheader_username_headers),
        ):
            data[name] = json.dumps(list(values))
        data["requestheader-uid-headers"] = "[]"

    def mutate(current: Object) -> Object | None:
        if (current.get("data") or {}) == data:
            return None
        current["data"] = data
        return current

    await ensure(
        registry,
        kind("configmaps"),
        {
            "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
            "data": data,
        },
        mutate,
    )


async def ensure_legacy_token_tracking(registry: Registry) -> None:
    """ConfigMap that says since when uses of legacy service-account tokens are noted.

    The controller that removes unused ones counts from this day.
    """
    await ensure(
        registry,
        kind("configmaps"),
        {
            "metadata": {
                "name": "kube-apiserver-legacy-service-account-token-tracking",
                "namespace": "kube-system",
            },
            "data": {"since": times.now()[:10]},
        },
    )


async def ensure(
    registry: Registry,
    resource: Resource,
    obj: Object,
    repair: Callable[[Object], Object | None] | None = None,
) -> None:
    """Create `obj` if it is missing, else let `repair` change what is there."""
    name = obj["metadata"]["name"]
    namespace = obj["metadata"].get("namespace", "")
    whole = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
    for left in reversed(range(_TRIES)):
        try:
            current = registry.get(resource, name, namespace)
        except NotFound:
            pass
        else:
            if repair is None or repair(current) is None:
                return
            break
        try:
            await registry.create(resource, whole)
        except AlreadyExists:
            break
        except Invalid:
            # Another API server makes it at this moment: the address that it takes is there before the object is.
            if not left:
                raise
            await asyncio.sleep(_TRY_SECONDS)
        else:
            return
    if repair is not None:
        await registry.update(resource, namespace, name, repair)
