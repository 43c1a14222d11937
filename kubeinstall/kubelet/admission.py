"""Whether this node takes a pod that was bound to it (upstream's `lifecycle.PodAdmitHandler`s)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object
from kubeinstall.errors import KubeinstallError, StatusError
from kubeinstall.kubelet.pod import resources, spec

if TYPE_CHECKING:
    from kubeinstall.kubelet.parts import Parts

_SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    }
)


class Refused(KubeinstallError):
    """The pod fails; `reason` and `message` go into its status and an event."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


async def admit(pod: Object, others: list[Object], parts: Parts) -> None:
    """Raise `Refused` where the pod may not run here; `others` are the pods that already do."""
    _sysctls(pod, parts.config.allowed_unsafe_sysctls)
    _resources(pod, others, parts.allocatable)
    if not _node_matches(pod, parts.node_labels()):
        # The scheduler may know of labels that came after this node last looked at its own object.
        _node(pod, await _labels_now(parts))
    _ports(pod, others)
    if parts.pressure and not spec.is_critical(pod):
        _pressure(pod, parts.pressure)


def _sysctls(pod: Object, allowed: list[str]) -> None:
    for sysctl in (pod["spec"].get("securityContext") or {}).get("sysctls") or []:
        name = sysctl["name"].replace("/", ".")
        if name in _SAFE_SYSCTLS:
            continue
        if any(name == a or (a.endswith("*") and name.startswith(a[:-1])) for a in allowed):
            continue
        raise Refused("SysctlForbidden", f'forbidden sysctl: "{sysctl["name"]}" not allowlisted')


def _resources(pod: Object, others: list[Object], allocatable: dict[str, str]) -> None:
    used: resources.Amounts = {}
    for other in others:
        resources.add(used, resources.pod_requests(other))
    limit = int(Quantity.parse(allocatable.get("pods", "110")).value)
    if len(others) + 1 > limit:
        raise Refused(
            "OutOfpods",
            f"Node didn't have enough resource: pods, requested: 1, used: {len(others)}, capacity: {limit}",
        )
    for name, asked in sorted(resources.pod_requests(pod).items()):
        if asked.nano == 0 or (name not in allocatable and "/" in name):
            continue
        have = Quantity.parse(allocatable.get(name, "0"))
        taken = used.get(name, Quantity())
        if taken + asked > have:
            unit = _milli if name == "cpu" else _value
            raise Refused(
                f"OutOf{name}",
                f"Node didn't have enough resource: {name}, requested: {unit(asked)}, "
                f"used: {unit(taken)}, capacity: {unit(have)}",
            )


def _milli(amount: Quantity) -> int:
    return amount.milli


def _value(amount: Quantity) -> int:
    return amount.value


async def _labels_now(parts: Parts) -> dict[str, str]:
    try:
        node = await parts.client.get("v1/nodes", parts.node_name)
    except StatusError:
        return parts.node_labels()
    return dict(node["metadata"].get("labels") or {})


def _node(pod: Object, labels: dict[str, str]) -> None:
    if not _node_matches(pod, labels):
        raise Refused(
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        )


def _node_matches(pod: Object, labels: dict[str, str]) -> bool:
    wanted = pod["spec"].get("nodeSelector") or {}
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    matches = all(labels.get(key) == value for key, value in wanted.items())
    if matches and required:
        matches = any(
            _term_matches(term, labels) for term in required.get("nodeSelectorTerms") or []
        )
    return matches


def _term_matches(term: Object, labels: dict[str, str]) -> bool:
    expressions = term.get("matchExpressions") or []
    fields = term.get("matchFields") or []
    if not expressions and not fields:
        return False
    return all(_expression_matches(e, labels) for e in expressions) and all(
        _expression_matches(
            {**f, "key": "kubernetes.io/hostname"} if f["key"] == "metadata.name" else f, labels
        )
        for f in fields
    )


def _expression_matches(expression: Object, labels: dict[str, str]) -> bool:
    value = labels.get(expression["key"])
    values = expression.get("values") or []
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return value is not None and value.isdigit() and int(value) > int(values[0])
        case "Lt":
            return value is not None and value.isdigit() and int(value) < int(values[0])
    return False


def _host_ports(pod: Object) -> set[tuple[str, int, str]]:
    return {
        (port.get("protocol") or "TCP", int(port["hostPort"]), port.get("hostIP") or "0.0.0.0")  # noqa: S104 - upstream's "any"
        for container in (*spec.containers(pod), *spec.init_containers(pod))
        for port in container.get("ports") or []
        if port.get("hostPort")
    }


def _ports(pod: Object, others: list[Object]) -> None:
    wanted = _host_ports(pod)
    if not wanted:
        return
    everywhere = "0.0.0.0"  # noqa: S104 - as above
    for other in others:
        for protocol, port, ip in _host_ports(other):
            for mine in wanted:
                same = mine[:2] == (protocol, port)
                if same and (ip == mine[2] or everywhere in (ip, mine[2])):
                    raise Refused(
                        "NodePorts",
                        "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
                    )


def _pressure(pod: Object, pressure: set[str]) -> None:
    only_memory = pressure == {"MemoryPressure"}
    if only_memory and resources.qos_class(pod) != resources.BEST_EFFORT:
        return
    shown = " ".join(sorted(pressure))
    raise Refused("Evicted", f"The node had condition: [{shown}]. ")
