"""Plug-ins that complete pods: Priority, DefaultTolerationSeconds, RuntimeClass, topology labels;
and TaintNodesByCondition, which completes nodes."""

from __future__ import annotations

from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.plugin import POD, Plugin, is_mirror, refuse
from kubeinstall.apiserver.admission.shared import Shared
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import CREATE, UPDATE, AdmissionAttributes

_SCHEDULING = "scheduling.k8s.io"
_CLASS = (_SCHEDULING, "priorityclasses", "")
_PREEMPT = "PreemptLowerPriority"
_NOT_READY = "node.kubernetes.io/not-ready"
_UNREACHABLE = "node.kubernetes.io/unreachable"
_TOPOLOGY_LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class Priority(Plugin):
    """Turns a pod's priority class into its priority; allows one default class."""

    name = "Priority"
    targets = frozenset({POD, _CLASS})

    def __init__(self, registry: Registry) -> None:
        self._classes = Shared(registry, kind("priorityclasses", _SCHEDULING))

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Raises `Forbidden` for an unknown class or a number that is not the class's."""
        pod = attributes.object
        if pod is None or attributes.resource.name != "pods":
            return
        if attributes.operation == UPDATE:
            _keep_priority(pod, attributes.old or {})
            return
        name, value, policy = self._resolve(attributes, pod["spec"])
        self._apply(attributes, pod["spec"], name, value, policy)

    def _resolve(self, attributes: AdmissionAttributes, spec: Object) -> tuple[str, int, str]:
        name = spec.get("priorityClassName", "")
        if name:
            found = self._classes.get(name)
            if found is None:
                raise refuse(attributes, f"no PriorityClass with name {name} was found")
        else:
            found = self._default()
        if found is None:
            return "", 0, _PREEMPT
        policy = found.get("preemptionPolicy") or _PREEMPT
        return found["metadata"]["name"], int(found.get("value", 0)), policy

    def _default(self) -> Object | None:
        """The default class; the lowest value if a race made several."""
        defaults = [c for c in self._classes.within().values() if c.get("globalDefault")]
        return min(defaults, key=lambda c: int(c.get("value", 0)), default=None)

    @staticmethod
    def _apply(
        attributes: AdmissionAttributes, spec: Object, name: str, value: int, policy: str
    ) -> None:
        given = spec.get("priority")
        if given is not None and int(given) != value and not is_mirror(attributes.object or {}):
            raise refuse(
                attributes,
                f"the integer value of priority ({given}) must not be provided in pod spec; "
                f"priority admission controller computed {value} from the given PriorityClass name",
            )
        asked = spec.get("preemptionPolicy")
        if asked is not None and asked != policy:
            raise refuse(
                attributes,
                f"the string value of PreemptionPolicy ({asked}) must not be provided in pod spec; "
                f"priority admission controller computed {policy} from the given PriorityClass name",
            )
        if name:
            spec["priorityClassName"] = name
        spec["priority"] = value
        spec["preemptionPolicy"] = policy

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Refuse a second default class."""
        wanted = attributes.object
        if attributes.resource.name != "priorityclasses" or wanted is None:
            return
        if not wanted.get("globalDefault"):
            return
        present = self._default()
        if present is not None and present["metadata"]["name"] != wanted["metadata"].get("name"):
            raise refuse(
                attributes,
                f"PriorityClass {present['metadata']['name']} is already marked as default. "
                "Only one default can exist",
            )


def _keep_priority(pod: Object, old: Object) -> None:
    before = old.get("spec") or {}
    for field in ("priority", "preemptionPolicy"):
        if pod["spec"].get(field) is None and before.get(field) is not None:
            pod["spec"][field] = before[field]


class DefaultTolerationSeconds(Plugin):
    """Lets pods stay on nodes that fell silent for a while (300 s by default)."""

    name = "DefaultTolerationSeconds"
    targets = frozenset({POD})

    def __init__(self, not_ready: int = 300, unreachable: int = 300) -> None:
        self._seconds = {_NOT_READY: not_ready, _UNREACHABLE: unreachable}

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Add what is not tolerated yet."""
        pod = attributes.object
        if pod is None:
            return
        present = pod["spec"].get("tolerations") or []
        added = [
            {
                "key": key,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": seconds,
            }
            for key, seconds in self._seconds.items()
            if not any(_tolerates(toleration, key) for toleration in present)
        ]
        if added:
            pod["spec"]["tolerations"] = [*present, *added]


def _tolerates(toleration: Object, key: str) -> bool:
    return toleration.get("key", "") in ("", key) and toleration.get("effect", "") in (
        "",
        "NoExecute",
    )


class TaintNodesByCondition(Plugin):
    """A new node is not ready until its kubelet says so."""

    name = "TaintNodesByCondition"
    targets = frozenset({("", "nodes", "")})
    operations = frozenset({CREATE})

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Add the taint."""
        node = attributes.object
        if node is None:
            return
        spec = node.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(t.get("key") == _NOT_READY and t.get("effect") == "NoSchedule" for t in taints):
            spec["taints"] = [*taints, {"key": _NOT_READY, "effect": "NoSchedule"}]


class RuntimeClass(Plugin):
    """Gives pods the overhead, node selector and tolerations of their runtime class."""

    name = "RuntimeClass"
    targets = frozenset({POD})
    operations = frozenset({CREATE})

    def __init__(self, registry: Registry) -> None:
        self._classes = Shared(registry, kind("runtimeclasses", "node.k8s.io"))

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Raises `Forbidden` for an unknown class or a conflict with it."""
        pod = attributes.object
        if pod is None or not pod["spec"].get("runtimeClassName"):
            return
        found = self._found(attributes, pod)
        overhead = (found.get("overhead") or {}).get("podFixed")
        if overhead and not pod["spec"].get("overhead"):
            pod["spec"]["overhead"] = dict(overhead)
        self._schedule(attributes, pod["spec"], found.get("scheduling") or {})

    def _found(self, attributes: AdmissionAttributes, pod: Object) -> Object:
        name = pod["spec"]["runtimeClassName"]
        found = self._classes.get(name)
        if found is None:
            raise refuse(attributes, f'pod rejected: RuntimeClass "{name}" not found')
        return found

    @staticmethod
    def _schedule(attributes: AdmissionAttributes, spec: Object, scheduling: Object) -> None:
        selector = dict(spec.get("nodeSelector") or {})
        for key, value in (scheduling.get("nodeSelector") or {}).items():
            if selector.get(key, value) != value:
                raise refuse(
                    attributes,
                    f"pod rejected: conflict: runtimeClass.scheduling.nodeSelector[{key}] = "
                    f"{value}; pod.spec.nodeSelector[{key}] = {selector[key]}",
                )
            selector[key] = value
        if selector:
            spec["nodeSelector"] = selector
        tolerations = list(spec.get("tolerations") or ())
        for toleration in scheduling.get("tolerations") or ():
            if toleration not in tolerations:
                tolerations.append(dict(toleration))
        if tolerations:
            spec["tolerations"] = tolerations

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """An overhead must be the class's."""
        pod = attributes.object
        if pod is None:
            return
        overhead = pod["spec"].get("overhead")
        if not pod["spec"].get("runtimeClassName"):
            if overhead:
                raise refuse(
                    attributes,
                    "pod rejected: Pod Overhead set without corresponding RuntimeClass defined "
                    "Overhead",
                )
            return
        defined = (self._found(attributes, pod).get("overhead") or {}).get("podFixed")
        if defined and overhead != defined:
            raise refuse(
                attributes,
                "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
            )


class PodTopologyLabels(Plugin):
    """A binding takes the node's zone and region along, as labels for the pod."""

    name = "PodTopologyLabels"
    targets = frozenset({("", "pods", "binding"), ("", "bindings", "")})
    operations = frozenset({CREATE})

    def __init__(self, registry: Registry) -> None:
        self._labels = Shared(registry, kind("nodes"), _topology)

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Set the labels of the binding."""
        binding = attributes.object
        target = (binding or {}).get("target") or {}
        if binding is None or target.get("kind", "Node") not in ("", "Node"):
            return
        taken = self._labels.get(target.get("name", ""))
        if taken:
            present = binding["metadata"].get("labels") or {}
            binding["metadata"]["labels"] = {**present, **taken}


def _topology(node: Object) -> Object:
    labels = node["metadata"].get("labels") or {}
    return {key: labels[key] for key in _TOPOLOGY_LABELS if key in labels}
