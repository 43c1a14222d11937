"""`apiVersion` and `kind` of a body: which type it is, and upstream's answers when it does not fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from kubeinstall.api import schema
from kubeinstall.api.codec.gojson import Number, Pairs
from kubeinstall.api.codec.retired import RETIRED
from kubeinstall.api.codec.scalars import Mismatch
from kubeinstall.errors import BadRequest

_SCHEME: Final = "pkg/api/legacyscheme/scheme.go:30"
#: Groups that servers of their own hold types for.
_SCHEMES: Final = {"apiextensions.k8s.io": "pkg/apiserver/apiserver.go:54"}
_SUMMARY: Final = 30
_META_GO: Final = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; '
    'Kind string "json:\\"kind,omitempty\\"" }'
)

#: Internal packages whose name is not the first part of their group.
_INTERNAL: Final = {
    "": "core",
    "admissionregistration.k8s.io": "admissionregistration",
    "events.k8s.io": "core",
    "rbac.authorization.k8s.io": "rbac",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """Group, version and kind of an object."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        """`apps/v1`, and `v1` for core."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def internal(self) -> str:
        """How upstream's conversion messages name its internal type: `apps.Deployment`."""
        group = RETIRED.get((self.api_version, self.kind), self.group)
        package = _INTERNAL.get(group, group.partition(".")[0])
        return f"{package}.{self.kind}"

    @property
    def retired(self) -> bool:
        """Whether it is of a version that is known and no longer served."""
        return (self.api_version, self.kind) in RETIRED


def summary(data: bytes) -> str:
    """The beginning of a body as error messages show it."""
    if not data:
        return "<empty>"
    text = data.decode("utf-8", "replace") if data[:1] == b"{" else data.hex()
    longer = len(data) > _SUMMARY
    if data[:1] == b"{":
        return f"{data[:_SUMMARY].decode('utf-8', 'replace')} ..." if longer else text
    return f"{data[:_SUMMARY].hex()} ..." if longer else text


def unrecognized(expected: Kind, detail: str, data: bytes) -> BadRequest:
    """The answer to a body whose kind cannot even be read."""
    return BadRequest(
        f"the object provided is unrecognized (must be of type {expected.kind}): {detail} ({summary(data)})"
    )


def unhandled(found: Kind, expected: Kind, detail: str) -> BadRequest:
    """The answer to a body that is not what its kind says."""
    return BadRequest(
        f'{found.kind} in version "{found.version}" cannot be handled as a {expected.kind}: {detail}'
    )


def identify(node: Any, expected: Kind, data: bytes) -> Kind:
    """The kind a parsed body states; what it leaves out is as expected. Raises BadRequest."""
    members: dict[str, Any]
    if isinstance(node, Pairs):
        members = dict(node)
    elif isinstance(node, dict):
        members = node
    elif node is None:
        members = {}
    else:
        found = "array" if isinstance(node, list) else _scalar_name(node)
        detail = f"cannot unmarshal {found} into Go value of type {_META_GO}"
        raise unrecognized(
            expected, f"couldn't get version/kind; json parse error: json: {detail}", data
        )
    try:
        api_version, kind = _text(members, "apiVersion"), _text(members, "kind")
    except Mismatch as mismatch:
        raise unrecognized(
            expected,
            f"couldn't get version/kind; json parse error: json: {mismatch.message}",
            data,
        ) from None
    if api_version.count("/") > 1:
        raise unrecognized(expected, f"unexpected GroupVersion string: {api_version}", data)
    group, _, version = api_version.rpartition("/")
    if not version and group in {"", expected.group}:
        group, version = expected.group, expected.version
    return Kind(group, version, kind or expected.kind)


def _text(members: dict[str, Any], name: str) -> str:
    value = members.get(name)
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Number):
        return value
    found = _scalar_name(value)
    raise Mismatch(f"cannot unmarshal {found} into Go struct field .{name} of type string")


def _scalar_name(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (Number, int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, (Pairs, dict)) else "array"


def type_name(found: Kind, expected: Kind) -> str:
    """The full type name of the kind found. Raises BadRequest when no such kind is registered."""
    name = schema.type_name(found.group, found.version, found.kind)
    if name is None:
        raise unhandled(
            found,
            expected,
            f'no kind "{found.kind}" is registered for version "{found.api_version}" '
            f'in scheme "{_SCHEMES.get(expected.group, _SCHEME)}"',
        )
    return name


def fits(found: Kind, expected: Kind) -> None:
    """Raise BadRequest when an object that was read well is not of the kind or version asked for."""
    if found == expected:
        return
    if found.internal != expected.internal:
        detail = f"converting ({found.version}.{found.kind}) to ({expected.internal}): unknown conversion"
        raise unhandled(found, expected, detail)
    raise BadRequest(
        f"the API version in the data ({found.api_version}) does not match "
        f"the expected API version ({expected.api_version})"
    )
