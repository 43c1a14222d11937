"""What this node has given each pod, and what its containers were last held to (in-place resize).

A pod's spec is what is *desired*. It becomes *allocated* when the node takes it, at admission or by a later
resize, and *actuated* when the runtime was told. Both are kept in `allocated_pods_state`, so that a kubelet that
restarts in between goes on where it was (upstream's allocation manager and its checkpoints).
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object
from kubeinstall.kubelet.pod import resources, spec
from kubeinstall.runtime.logs import get_logger

log = get_logger("kubelet")

INFEASIBLE, DEFERRED = "Infeasible", "Deferred"
POD = ""
"""The name under which pod-level resources are kept beside those of containers."""
_RESIZABLE = ("cpu", "memory")


@dataclass(frozen=True, slots=True)
class Pending:
    """Why a resize is not allocated: `reason` is Infeasible (never here) or Deferred (not now)."""

    reason: str
    message: str


class Allocations:
    """Resources by pod uid and container name. `path` is the file that outlives the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._allocated: dict[str, dict[str, Object]] = {}
        self._actuated: dict[str, dict[str, Object]] = {}
        self._load()

    def has(self, uid: str) -> bool:
        """Whether the pod was given anything yet."""
        return uid in self._allocated

    def view(self, pod: Object) -> Object:
        """The pod with the resources it was given in place of the desired ones."""
        given = self._allocated.get(spec.uid(pod))
        if given is None or given == _wanted(pod):
            return pod
        made = {**pod["spec"]}
        for member in ("containers", "initContainers"):
            if made.get(member):
                made[member] = [_with(c, given.get(c["name"])) for c in made[member]]
        return {**pod, "spec": _with(made, given.get(POD))}

    def allocate(self, pod: Object) -> None:
        """Give the pod what it desires."""
        wanted = _wanted(pod)
        if self._allocated.get(spec.uid(pod)) != wanted:
            self._allocated[spec.uid(pod)] = wanted
            self._save()

    def actuated(self, uid: str, container: str) -> Object | None:
        """What the container was last held to; None where that is not known."""
        return self._actuated.get(uid, {}).get(container)

    def set_actuated(self, uid: str, holder: Object) -> None:
        """The runtime has been told of a container's resources; with a pod's spec, its cgroup has them."""
        known = self._actuated.setdefault(uid, {})
        name, listed = holder.get("name") or POD, holder.get("resources") or {}
        if known.get(name) != listed:
            known[name] = listed
            self._save()

    def in_progress(self, pod: Object) -> bool:
        """Whether a container still has other resources than the pod (as `view` gives it) was given."""
        known = self._actuated.get(spec.uid(pod), {})
        return any(
            (c.get("name") or POD) in known
            and _sizes(known[c.get("name") or POD]) != _sizes(c.get("resources") or {})
            for c in (pod["spec"], *resizable(pod))
        )

    def keep(self, uids: Collection[str]) -> None:
        """Forget all other pods."""
        gone = (self._allocated.keys() | self._actuated.keys()) - set(uids)
        for uid in gone:
            self._allocated.pop(uid, None)
            self._actuated.pop(uid, None)
        if gone:
            self._save()

    def _load(self) -> None:
        try:
            kept = json.loads(self._path.read_text())
            self._allocated, self._actuated = dict(kept["allocated"]), dict(kept["actuated"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("Allocations lost: pods get what they ask for", error=str(error))

    def _save(self) -> None:
        text = json.dumps({"allocated": self._allocated, "actuated": self._actuated})
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_text(text)
            fresh.chmod(0o600)
            fresh.replace(self._path)
        except OSError as error:
            log.warning("Allocations not saved", path=str(self._path), error=str(error))


def resizable(pod: Object) -> list[Object]:
    """Containers whose resources may change while they run: sidecars, then the main ones."""
    sidecars = [c for c in spec.init_containers(pod) if spec.is_sidecar(c)]
    return [*sidecars, *spec.containers(pod)]


def judge(desired: Object, others: list[Object], allocatable: dict[str, str]) -> Pending | None:
    """Whether the node can give the pod what it desires; `others` are the pods that run here."""
    asked = resources.pod_requests(desired)
    used: resources.Amounts = {}
    for other in others:
        resources.add(used, resources.pod_requests(other))
    for name in _RESIZABLE:
        want, have = asked.get(name), Quantity.parse(allocatable.get(name, "0"))
        if want is not None and want > have:
            text = f"Node didn't have enough capacity: {name}, requested: {_unit(name, want)}, "
            return Pending(INFEASIBLE, text + f"capacity: {_unit(name, have)}")
    for name in _RESIZABLE:
        want, have = asked.get(name), Quantity.parse(allocatable.get(name, "0"))
        taken = used.get(name, Quantity())
        if want is not None and taken + want > have:
            return Pending(
                DEFERRED,
                f"Node didn't have enough resource: {name}, requested: {_unit(name, want)}, "
                f"used: {_unit(name, taken)}, capacity: {_unit(name, have)}",
            )
    return None


def summary(pod: Object, error: str = "") -> str:
    """The JSON of a resize event: containers with their resources, generation, and what went wrong."""
    listed = [
        {"name": c["name"], "resources": c.get("resources") or {}}
        for c in resizable(pod)
        if c.get("resources")
    ]
    made: Object = {"containers": listed, "generation": pod["metadata"].get("generation", 1)}
    if error:
        made["error"] = error
    return json.dumps(made, separators=(",", ":"), sort_keys=True)


def _unit(name: str, amount: Quantity) -> int:
    return amount.milli if name == "cpu" else amount.value


def _wanted(pod: Object) -> dict[str, Object]:
    made = {
        c["name"]: c.get("resources") or {}
        for c in (*spec.init_containers(pod), *spec.containers(pod))
    }
    made[POD] = pod["spec"].get("resources") or {}
    return made


def _with(holder: Object, given: Object | None) -> Object:
    if given is None or given == (holder.get("resources") or {}):
        return holder
    return {**holder, "resources": given}


def _sizes(listed: Object) -> dict[tuple[str, str], Quantity]:
    return {
        (kind, name): Quantity.parse(value)
        for kind in ("requests", "limits")
        for name, value in (listed.get(kind) or {}).items()
        if name in _RESIZABLE
    }
