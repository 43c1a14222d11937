"""Pods and pod templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kubeinstall.api.defaults import claims
from kubeinstall.api.defaults.common import each, fill, fill_empty, part, round_resources
from kubeinstall.api.defaults.images import pull_policy
from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object

_MODE: Final = 0o644
_PROBE: Final = {
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
}
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_SPEC: Final = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
}
_CONTAINER: Final = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_RBD: Final = {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}
_SCALE_IO: Final = {"storageMode": "ThinProvisioned", "fsType": "xfs"}
_AZURE_DISK: Final = {
    "cachingMode": "ReadWrite",
    "kind": "Shared",
    "fsType": "ext4",
    "readOnly": False,
}
_POD_LEVEL: Final = ("cpu", "memory")


def pod(obj: Object) -> None:
    """A Pod: its spec, requests from limits, host ports, service links."""
    spec = part(obj, "spec")
    pod_spec(spec)
    for container in (*each(spec, "containers"), *each(spec, "initContainers")):
        resources = part(container, "resources")
        limits = resources.get("limits")
        if limits:
            resources["requests"] = {**limits, **(resources.get("requests") or {})}
    _pod_level_requests(spec)
    if "enableServiceLinks" not in spec:
        spec["enableServiceLinks"] = True
    if spec.get("hostNetwork"):
        for container in (*each(spec, "containers"), *each(spec, "initContainers")):
            for port in each(container, "ports"):
                if not port.get("hostPort") and port.get("containerPort"):
                    port["hostPort"] = port["containerPort"]
    status = obj.get("status")
    if status:
        _status(status)


def _status(status: Object) -> None:
    addresses(status, "podIP", "podIPs")
    addresses(status, "hostIP", "hostIPs")
    for name in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        for one in each(status, name):
            round_resources(one.get("allocatedResources"))
            _resources(one.get("resources"))


def addresses(status: Object, one: str, several: str) -> None:
    """Keep the single address and the first of several the same; the single one leads."""
    first, listed = status.get(one), status.get(several)
    if first and (not listed or listed[0].get("ip") != first):
        status[several] = [{"ip": first}]
    elif listed and not first:
        status[one] = listed[0].get("ip", "")


def template(obj: Object) -> None:
    """A PodTemplateSpec."""
    pod_spec(part(obj, "spec"))


def pod_spec(spec: Object) -> None:
    """A PodSpec, of a Pod or of a template."""
    for volume in each(spec, "volumes"):
        _volume(volume)
    for container in each(spec, "initContainers"):
        _container(container)
    for container in each(spec, "containers"):
        _container(container)
    for container in each(spec, "ephemeralContainers"):
        _container(container)
    fill_empty(spec, _SPEC)
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    if "terminationGracePeriodSeconds" not in spec:
        spec["terminationGracePeriodSeconds"] = 30
    # The deprecated name of the account follows the current one, as upstream's conversions make it.
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    round_resources(spec.get("overhead"))
    _resources(spec.get("resources"))


def _resources(resources: Object | None) -> None:
    if resources:
        round_resources(resources.get("limits"))
        round_resources(resources.get("requests"))


def _container(container: Object) -> None:
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(container.get("image", ""))
    fill_empty(container, _CONTAINER)
    _resources(container.get("resources"))
    for port in each(container, "ports"):
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    for variable in each(container, "env"):
        source = variable.get("valueFrom")
        if source:
            _env_source(source)
    for name in _PROBES:
        probe = container.get(name)
        if probe is not None:
            fill_empty(probe, _PROBE)
            _handler(probe)
    lifecycle = container.get("lifecycle")
    if lifecycle:
        for name in ("postStart", "preStop"):
            handler = lifecycle.get(name)
            if handler:
                _handler(handler)


def _env_source(source: Object) -> None:
    field = source.get("fieldRef")
    if field is not None:
        fill_empty(field, {"apiVersion": "v1"})
    key = source.get("fileKeyRef")
    if key is not None:
        fill(key, {"optional": False})


def _handler(handler: Object) -> None:
    get = handler.get("httpGet")
    if get is not None:
        fill_empty(get, {"path": "/", "scheme": "HTTP"})
    call = handler.get("grpc")
    if call is not None:
        fill(call, {"service": ""})


def _mode(source: Object) -> None:
    fill(source, {"defaultMode": _MODE})


def _items(source: Object) -> None:
    for item in each(source, "items"):
        field = item.get("fieldRef")
        if field is not None:
            fill_empty(field, {"apiVersion": "v1"})


def _downward(source: Object) -> None:
    _mode(source)
    _items(source)


def _projected(source: Object) -> None:
    _mode(source)
    for one in each(source, "sources"):
        downward = one.get("downwardAPI")
        if downward is not None:
            _items(downward)
        token = one.get("serviceAccountToken")
        if token is not None:
            fill(token, {"expirationSeconds": 3600})


def _image(source: Object) -> None:
    fill_empty(source, {"pullPolicy": pull_policy(source.get("reference", ""))})


def _ephemeral(source: Object) -> None:
    claim = source.get("volumeClaimTemplate")
    if claim is not None:
        claims.claim_spec(part(claim, "spec"))


def _filler(values: dict[str, Any], *, pointers: bool = False) -> Callable[[Object], None]:
    return lambda source: (fill if pointers else fill_empty)(source, values)


_VOLUMES: Final[dict[str, Callable[[Object], None]]] = {
    "azureDisk": _filler(_AZURE_DISK, pointers=True),
    "configMap": _mode,
    "downwardAPI": _downward,
    "ephemeral": _ephemeral,
    "hostPath": _filler({"type": ""}, pointers=True),
    "image": _image,
    "iscsi": _filler({"iscsiInterface": "default"}),
    "projected": _projected,
    "rbd": _filler(_RBD),
    "scaleIO": _filler(_SCALE_IO),
    "secret": _mode,
}


def _volume(volume: Object) -> None:
    sources = [name for name in volume if name != "name"]
    if not sources:
        volume["emptyDir"] = {}
    volume_source(volume)


def volume_source(source: Object) -> None:
    """The volume of a pod or of a PersistentVolume."""
    for name, value in list(source.items()):
        default = _VOLUMES.get(name)
        if default is not None and value is not None:
            default(value)


def _pod_level_requests(spec: Object) -> None:
    """Pod-level requests: what the containers ask for, then the pod's limits."""
    resources = spec.get("resources")
    if not resources:
        return
    requests: Object = dict(resources.get("requests") or {})
    for name, amount in _container_requests(spec).items():
        if _pod_level(name):
            requests.setdefault(name, str(amount))
    for name, text in (resources.get("limits") or {}).items():
        if _pod_level(name):
            requests.setdefault(name, text)
    if requests:
        resources["requests"] = requests


def _pod_level(name: str) -> bool:
    return name in _POD_LEVEL or name.startswith("hugepages-")


def _container_requests(spec: Object) -> dict[str, Quantity]:
    """What a pod's containers request together: restartable init containers add up with the main
    ones, the others need theirs only while they run."""
    total: dict[str, Quantity] = {}
    running: dict[str, Quantity] = {}
    peak: dict[str, Quantity] = {}
    for container in each(spec, "containers"):
        _add(total, _requests(container))
    for container in each(spec, "initContainers"):
        wanted = _requests(container)
        if container.get("restartPolicy") == "Always":
            _add(total, wanted)
            _add(running, wanted)
            wanted = dict(running)
        else:
            _add(wanted, running)
        for name, amount in wanted.items():
            peak[name] = max(peak.get(name, amount), amount)
    for name, amount in peak.items():
        total[name] = max(total.get(name, amount), amount)
    return total


def _requests(container: Object) -> dict[str, Quantity]:
    requests = part(container, "resources").get("requests") or {}
    return {name: Quantity.parse(text) for name, text in requests.items()}


def _add(total: dict[str, Quantity], more: dict[str, Quantity]) -> None:
    for name, amount in more.items():
        total[name] = total[name] + amount if name in total else amount
