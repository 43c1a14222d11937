"""LimitRanger: defaults, minima, maxima and ratios of a namespace's LimitRange objects."""

from __future__ import annotations

from collections.abc import Iterator

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.plugin import Plugin, joined, refuse
from kubeinstall.apiserver.admission.resources import pod_limits, pod_requests
from kubeinstall.apiserver.admission.shared import Shared
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import CREATE, UPDATE, AdmissionAttributes

_ANNOTATION = "kubernetes.io/limit-ranger"
_CLAIM = "persistentvolumeclaims"
Amounts = dict[str, Quantity]


class LimitRanger(Plugin):
    """Sets and enforces limits on pods and claims."""

    name = "LimitRanger"

    def __init__(self, registry: Registry) -> None:
        self._ranges = Shared(registry, kind("limitranges"))

    def handles(self, group: str, plural: str, subresource: str, operation: str) -> bool:
        """Pods when made or resized, claims when made or changed."""
        if group or subresource not in ("", "resize"):
            return False
        if plural == "pods":
            return (operation == CREATE) if not subresource else operation == UPDATE
        return plural == _CLAIM and not subresource and operation in (CREATE, UPDATE)

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Fill in default requests and limits of containers."""
        ranges = self._ranges.within(attributes.namespace)
        pod = attributes.object
        if not ranges or pod is None or attributes.resource.name != "pods":
            return
        if attributes.subresource:
            return
        for name in sorted(ranges):
            _set_defaults(pod, ranges[name])

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Raise `Forbidden` with every limit that is not kept."""
        ranges = self._ranges.within(attributes.namespace)
        obj = attributes.object
        if not ranges or obj is None or obj["metadata"].get("deletionTimestamp"):
            return
        check = _claim_problems if attributes.resource.name == _CLAIM else _pod_problems
        for name in sorted(ranges):
            problems = list(check(obj, ranges[name]))
            if problems:
                raise refuse(attributes, joined(problems))


def _limits(limit_range: Object) -> list[Object]:
    return (limit_range.get("spec") or {}).get("limits") or []


def _amounts(values: Object | None) -> Amounts:
    return {name: Quantity.parse(value) for name, value in (values or {}).items()}


def _set_defaults(pod: Object, limit_range: Object) -> None:
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for limit in _limits(limit_range):
        if limit.get("type") == "Container":
            requests.update(limit.get("defaultRequest") or {})
            limits.update(limit.get("default") or {})
    if not requests and not limits:
        return
    done: list[str] = []
    for field, what in (("containers", "container"), ("initContainers", "init container")):
        for container in pod["spec"].get(field) or ():
            done.extend(_fill(container, requests, limits, what))
    if done:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[_ANNOTATION] = f"LimitRanger plugin set: {'; '.join(done)}"


def _fill(
    container: Object, requests: dict[str, str], limits: dict[str, str], what: str
) -> Iterator[str]:
    resources = container.setdefault("resources", {})
    for field, defaults in (("requests", requests), ("limits", limits)):
        present = resources.get(field) or {}
        missing = sorted(name for name in defaults if name not in present)
        if missing:
            resources[field] = {**present, **{name: defaults[name] for name in missing}}
            yield f"{', '.join(missing)} {field[:-1]} for {what} {container['name']}"


def _claim_problems(claim: Object, limit_range: Object) -> Iterator[str]:
    requests = _amounts(((claim.get("spec") or {}).get("resources") or {}).get("requests"))
    for limit in _limits(limit_range):
        if limit.get("type") == "PersistentVolumeClaim":
            yield from _minima("PersistentVolumeClaim", limit, requests, {})
            for name, most in sorted(_amounts(limit.get("max")).items()):
                prefix = f"maximum {name} usage per PersistentVolumeClaim is {most}"
                if name not in requests:
                    yield f"{prefix}.  No request is specified"
                elif most < requests[name]:
                    yield f"{prefix}, but request is {requests[name]}"


def _pod_problems(pod: Object, limit_range: Object) -> Iterator[str]:
    spec = pod["spec"]
    for limit in _limits(limit_range):
        if limit.get("type") == "Container":
            for field in ("containers", "initContainers"):
                for container in spec.get(field) or ():
                    resources = container.get("resources") or {}
                    requests = _amounts(resources.get("requests"))
                    yield from _check(
                        "Container", limit, requests, _amounts(resources.get("limits"))
                    )
        elif limit.get("type") == "Pod":
            yield from _check("Pod", limit, pod_requests(pod), pod_limits(pod))


def _check(what: str, limit: Object, requests: Amounts, limits: Amounts) -> Iterator[str]:
    yield from _minima(what, limit, requests, limits)
    yield from _maxima(what, limit, requests, limits)
    yield from _ratios(what, limit, requests, limits)


def _minima(what: str, limit: Object, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, least in sorted(_amounts(limit.get("min")).items()):
        prefix = f"minimum {name} usage per {what} is {least}"
        if name not in requests:
            yield f"{prefix}.  No request is specified"
        elif requests[name] < least:
            yield f"{prefix}, but request is {requests[name]}"
        elif name in limits and limits[name] < least:
            yield f"{prefix}, but limit is {limits[name]}"


def _maxima(what: str, limit: Object, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, most in sorted(_amounts(limit.get("max")).items()):
        prefix = f"maximum {name} usage per {what} is {most}"
        if name not in limits:
            yield f"{prefix}.  No limit is specified"
        elif most < limits[name]:
            yield f"{prefix}, but limit is {limits[name]}"
        elif name in requests and most < requests[name]:
            yield f"{prefix}, but request is {requests[name]}"


def _ratios(what: str, limit: Object, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, most in sorted(_amounts(limit.get("maxLimitRequestRatio")).items()):
        prefix = f"{name} max limit to request ratio per {what} is {most}"
        if not requests.get(name):
            yield f"{prefix}, but no request is specified or request is 0"
        elif not limits.get(name):
            yield f"{prefix}, but no limit is specified or limit is 0"
        else:
            ratio = float(limits[name]) / float(requests[name])
            if ratio > float(most):
                yield f"{prefix}, but provided ratio is {ratio:f}"
