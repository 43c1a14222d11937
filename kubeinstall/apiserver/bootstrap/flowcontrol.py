"""The default FlowSchemas and PriorityLevelConfigurations.

Mandatory ones (`exempt`, `catch-all`) are always put back; suggested ones are kept as long as
`apf.kubernetes.io/autoupdate-spec` says so. Values: Kubernetes documentation, "API Priority and
Fairness", and what a v1.36 API server answers.
"""

from __future__ import annotations

import copy

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.errors import AlreadyExists, NotFound

_PRODUCER = "api-priority-and-fairness-config-producer-v1"
CONSUMER = "api-priority-and-fairness-config-consumer-v1"
AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec"
_GROUP = "flowcontrol.apiserver.k8s.io"
_ALL_RESOURCES: Object = {
    "apiGroups": ["*"],
    "clusterScope": True,
    "namespaces": ["*"],
    "resources": ["*"],
    "verbs": ["*"],
}
_ALL_URLS: Object = {"nonResourceURLs": ["*"], "verbs": ["*"]}
_EVERYBODY = ("Group:system:unauthenticated", "Group:system:authenticated")
_BY_USER, _BY_NAMESPACE = "ByUser", "ByNamespace"


async def ensure_flow_control(registry: Registry) -> None:
    """Create or repair priority levels, then the flow schemas that name them."""
    for name, spec in priority_levels().items():
        await _reconcile(registry, "prioritylevelconfigurations", name, spec)
    for name, spec in flow_schemas().items():
        await _reconcile(registry, "flowschemas", name, spec)
        resource = kind("flowschemas", _GROUP)
        config = dangling(registry, registry.get(resource, name))
        if config is not None:
            await registry.apply(resource, config, manager=CONSUMER, subresource="status")


def priority_levels() -> dict[str, Object]:
    """Specs of the default priority levels by name."""
    return {
        "exempt": {
            "type": "Exempt",
            "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0},
        },
        "catch-all": _limited(5, 0),
        "leader-election": _limited(10, 0, (16, 4)),
        "workload-high": _limited(40, 50, (128, 6)),
        "workload-low": _limited(100, 90, (128, 6)),
        "global-default": _limited(20, 50, (128, 6)),
        "node-high": _limited(40, 25, (64, 6)),
        "system": _limited(30, 33, (64, 6)),
    }


def _limited(shares: int, lendable: int, queues: tuple[int, int] | None = None) -> Object:
    response: Object = {"type": "Reject"}
    if queues is not None:
        queuing = {"queues": queues[0], "handSize": queues[1], "queueLengthLimit": 50}
        response = {"type": "Queue", "queuing": queuing}
    return {
        "type": "Limited",
        "limited": {
            "nominalConcurrencyShares": shares,
            "lendablePercent": lendable,
            "limitResponse": response,
        },
    }


def flow_schemas() -> dict[str, Object]:
    """Specs of the default flow schemas by name."""
    leases: Object = {
        "apiGroups": ["coordination.k8s.io"],
        "namespaces": ["*"],
        "resources": ["leases"],
        "verbs": ["get", "create", "update"],
    }
    nodes: Object = {**_ALL_RESOURCES, "apiGroups": [""], "resources": ["nodes", "nodes/status"]}
    probes: Object = {"nonResourceURLs": ["/healthz", "/readyz", "/livez"], "verbs": ["get"]}
    manager, scheduler = "User:system:kube-controller-manager", "User:system:kube-scheduler"
    system_accounts = "ServiceAccount:kube-system/*"
    return {
        "exempt": _schema("exempt", 1, "", ("Group:system:masters",)),
        "probes": _schema("exempt", 2, "", _EVERYBODY, [], [probes]),
        "system-leader-election": _schema(
            "leader-election", 100, _BY_USER, (manager, scheduler, system_accounts), [leases], []
        ),
        "system-node-high": _schema(
            "node-high",
            400,
            _BY_USER,
            ("Group:system:nodes",),
            [nodes, {**leases, "verbs": ["*"]}],
            [],
        ),
        "system-nodes": _schema("system", 500, _BY_USER, ("Group:system:nodes",)),
        "kube-controller-manager": _schema("workload-high", 800, _BY_NAMESPACE, (manager,)),
        "kube-scheduler": _schema("workload-high", 800, _BY_NAMESPACE, (scheduler,)),
        "kube-system-service-accounts": _schema(
            "workload-high", 900, _BY_NAMESPACE, (system_accounts,)
        ),
        "service-accounts": _schema(
            "workload-low", 9000, _BY_USER, ("Group:system:serviceaccounts",)
        ),
        "global-default": _schema("global-default", 9900, _BY_USER, _EVERYBODY),
        "catch-all": _schema("catch-all", 10000, _BY_USER, _EVERYBODY),
    }


def _schema(
    level: str,
    precedence: int,
    distinguisher: str,
    subjects: tuple[str, ...],
    resources: list[Object] | None = None,
    urls: list[Object] | None = None,
) -> Object:
    rule: Object = {"subjects": [_subject(text) for text in subjects]}
    resources = [_ALL_RESOURCES] if resources is None else resources
    urls = [_ALL_URLS] if urls is None else urls
    if resources:
        rule["resourceRules"] = resources
    if urls:
        rule["nonResourceRules"] = urls
    spec: Object = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        "rules": [rule],
    }
    if distinguisher:
        spec["distinguisherMethod"] = {"type": distinguisher}
    return spec


def _subject(text: str) -> Object:
    subject_kind, _, name = text.partition(":")
    if subject_kind == "ServiceAccount":
        namespace, _, account = name.partition("/")
        return {
            "kind": subject_kind,
            "serviceAccount": {"name": account, "namespace": namespace},
        }
    return {"kind": subject_kind, subject_kind.lower(): {"name": name}}


async def _reconcile(registry: Registry, plural: str, name: str, spec: Object) -> None:
    resource = kind(plural, _GROUP)
    try:
        present = registry.get(resource, name)
    except NotFound:
        obj = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name, "annotations": {AUTOUPDATE: "true"}},
            "spec": copy.deepcopy(spec),
        }
        try:
            await registry.create(resource, obj, manager=_PRODUCER)
        except AlreadyExists:
            return
        return
    spec = _wanted(present, spec)
    if _untouched(present) and present.get("spec") != spec:

        def mutate(current: Object) -> Object | None:
            if not _untouched(current):
                return None
            current["spec"] = copy.deepcopy(spec)
            return current

        await registry.update(resource, "", name, mutate, manager=_PRODUCER)


def _wanted(present: Object, spec: Object) -> Object:
    """The spec to keep: how much the exempt level lends is the administrator's to say."""
    if spec.get("type") != "Exempt":
        return spec
    return {**spec, "exempt": (present.get("spec") or {}).get("exempt") or spec["exempt"]}


def _untouched(present: Object) -> bool:
    """Whether the spec is ours to keep: mandatory objects always are."""
    if present["metadata"]["name"] in ("exempt", "catch-all"):
        return True
    return (present["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "true"


def level_of(schema: Object) -> str:
    """The name of the priority level that a FlowSchema wants."""
    spec = schema.get("spec") or {}
    return str((spec.get("priorityLevelConfiguration") or {}).get("name", ""))


def dangling(registry: Registry, schema: Object) -> Object | None:
    """What to apply to the status of a FlowSchema; None where it is said already."""
    level = level_of(schema)
    try:
        registry.get(kind("prioritylevelconfigurations", _GROUP), level)
    except NotFound:
        status, reason, end = "True", "NotFound", "but there is no such object"
    else:
        status, reason, end = "False", "Found", "and it exists"
    message = (
        f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" {end}'
    )
    conditions = (schema.get("status") or {}).get("conditions") or []
    known: Object = next((c for c in conditions if c.get("type") == "Dangling"), {})
    if (known.get("status"), known.get("message")) == (status, message):
        return None
    since = known.get("lastTransitionTime") if known.get("status") == status else times.now()
    condition = {
        "type": "Dangling",
        "status": status,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }
    resource = kind("flowschemas", _GROUP)
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": schema["metadata"]["name"]},
        "status": {"conditions": [condition]},
    }
