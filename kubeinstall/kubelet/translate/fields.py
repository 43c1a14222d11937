"""Downward API: a field of the pod, or a resource of a container, as text."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kubeinstall.api.quantity import Quantity
from kubeinstall.api.types import Object
from kubeinstall.errors import KubeinstallError
from kubeinstall.kubelet.pod import resources, spec

_SUBSCRIPT = re.compile(r"^(metadata\.(?:labels|annotations))\['(.*)'\]$")


class FieldProblem(KubeinstallError):
    """No such field, or no such container."""


def format_map(items: Mapping[str, str]) -> str:
    """`key="escaped value"` lines, sorted, as volumes show labels and annotations."""
    return "\n".join(f"{key}={_quote(value)}" for key, value in sorted(items.items()))


def _quote(text: str) -> str:
    """Go's %q for what labels and annotations hold."""
    out = ['"']
    simple = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    for character in text:
        if character in simple:
            out.append(simple[character])
        elif character.isprintable():
            out.append(character)
        elif ord(character) < 0x80:
            out.append(f"\\x{ord(character):02x}")
        else:
            out.append(f"\\u{ord(character):04x}")
    out.append('"')
    return "".join(out)


def pod_field(pod: Object, path: str) -> str:
    """metadata.* and spec.* fields that fieldRef may name. Raises `FieldProblem`."""
    meta = pod["metadata"]
    match = _SUBSCRIPT.match(path)
    if match:
        return str((meta.get(match[1].partition(".")[2]) or {}).get(match[2], ""))
    match path:
        case "metadata.annotations" | "metadata.labels":
            return format_map(meta.get(path.partition(".")[2]) or {})
        case "metadata.name":
            return spec.name(pod)
        case "metadata.namespace":
            return spec.namespace(pod)
        case "metadata.uid":
            return spec.uid(pod)
        case "spec.nodeName":
            return str(pod["spec"].get("nodeName") or "")
        case "spec.serviceAccountName":
            return str(pod["spec"].get("serviceAccountName") or "")
    raise FieldProblem(f"unsupported fieldPath: {path}")


def runtime_field(pod: Object, path: str, pod_ips: list[str], host_ips: list[str]) -> str:
    """As `pod_field`, and status.podIP(s) and status.hostIP(s)."""
    match path:
        case "status.podIP":
            return pod_ips[0] if pod_ips else ""
        case "status.podIPs":
            return ",".join(pod_ips)
        case "status.hostIP":
            return host_ips[0] if host_ips else ""
        case "status.hostIPs":
            return ",".join(host_ips)
    return pod_field(pod, path)


def resource_field(
    pod: Object, reference: Object, container: Object | None, allocatable: Mapping[str, str]
) -> str:
    """resourceFieldRef as a whole number of divisors; a limit that is not set is the node's."""
    name = reference.get("containerName")
    if name:
        container = next((c for c in spec.all_containers(pod) if c["name"] == name), None)
        if container is None:
            raise FieldProblem(f"container {name} not found")
    if container is None:
        raise FieldProblem("containerName is required")
    kind, _, resource = str(reference["resource"]).partition(".")
    listed = resources.limits(container) if kind == "limits" else resources.requests(container)
    amount = listed.get(resource)
    if amount is None and kind == "limits" and resource in allocatable:
        amount = Quantity.parse(allocatable[resource])
    if amount is None:
        amount = Quantity()
    divisor = Quantity.parse(str(reference.get("divisor") or "1"))
    step = divisor.nano or Quantity.of(1).nano
    return str(-(-amount.nano // step))
