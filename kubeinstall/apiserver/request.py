"""What is asked, by whom: the values that the request pipeline hands from step to step.

`RequestInfo` is read from method, path and query exactly as upstream's `requestinfo` does, because
authorization, priority and metrics must agree with upstream on what a request *is*, even when the
path names nothing that exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from kubeinstall.api.types import Object

if TYPE_CHECKING:
    from kubeinstall.api.resources import Resource
    from kubeinstall.apiserver.interfaces import Services
    from kubeinstall.apiserver.registry import Registry

ANONYMOUS = "system:anonymous"
UNAUTHENTICATED_GROUP = "system:unauthenticated"
AUTHENTICATED_GROUP = "system:authenticated"
MASTERS_GROUP = "system:masters"

CREATE, UPDATE, DELETE, CONNECT = "CREATE", "UPDATE", "DELETE", "CONNECT"

_METHOD_VERBS = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_SPECIAL_VERBS = frozenset({"proxy", "watch"})
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})
_FALSE = frozenset({"0", "false"})


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated identity: `user.Info` of upstream."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


#: The API server's own identity for in-process work, upstream's privileged loopback user.
SYSTEM_USER = User("system:apiserver", groups=(MASTERS_GROUP, AUTHENTICATED_GROUP))
ANONYMOUS_USER = User(ANONYMOUS, groups=(UNAUTHENTICATED_GROUP,))


class Attributes(NamedTuple):
    """What an authorizer decides on. Hashable, so that verdicts can be cached."""

    user: User
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    is_resource: bool = True
    field_selector: str = ""
    label_selector: str = ""


class Decision(NamedTuple):
    """An authorizer's verdict; `reason` is shown to the user when not empty."""

    allowed: bool
    reason: str = ""


@dataclass(slots=True)
class RequestInfo:
    """A request's verb and target.

    `verb` is a Kubernetes verb (get, list, watch, create, update, patch, delete, deletecollection,
    proxy) for resource requests and the lower-case HTTP method otherwise.
    """

    path: str
    verb: str
    is_resource: bool = False
    prefix: str = ""
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    parts: tuple[str, ...] = ()

    def attributes(self, user: User, query: Mapping[str, str]) -> Attributes:
        """The same request as an authorizer sees it."""
        selectors = self.verb in ("list", "watch", "deletecollection")
        return Attributes(
            user,
            self.verb,
            self.group,
            self.version,
            self.resource,
            self.subresource,
            self.namespace,
            self.name,
            "" if self.is_resource else self.path,
            self.is_resource,
            query.get("fieldSelector", "") if selectors else "",
            query.get("labelSelector", "") if selectors else "",
        )


def parse_request(method: str, path: str, query: Mapping[str, str]) -> RequestInfo:
    """Tell what a request asks for.

    `path` is decoded and without query; `query` holds the first value of each parameter. Shapes:
    `/api/V/…` and `/apis/G/V/…`, then optionally `watch` or `proxy`, then optionally
    `namespaces/NS`, then `RESOURCE[/NAME[/SUBRESOURCE…]]`. All else is a non-resource request.
    """
    info = RequestInfo(path=path, verb=method.lower())
    trimmed = path.strip("/")
    parts = trimmed.split("/") if trimmed else []
    if len(parts) < 3 or parts[0] not in ("api", "apis"):
        return info
    info.prefix = parts[0]
    rest = parts[1:]
    if info.prefix == "apis":
        if len(rest) < 3:
            return info
        info.group = rest[0]
        rest = rest[1:]
    info.is_resource = True
    info.version = rest[0]
    rest = rest[1:]
    if rest[0] in _SPECIAL_VERBS and len(rest) > 1:
        info.verb = rest[0]
        rest = rest[1:]
    else:
        info.verb = _METHOD_VERBS.get(method, "")
    _parse_target(info, rest)
    _refine_verb(info, query)
    return info


def _parse_target(info: RequestInfo, rest: list[str]) -> None:
    if rest[0] == "namespaces" and len(rest) > 1:
        info.namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    info.parts = tuple(rest)
    info.resource = rest[0]
    if len(rest) >= 2:
        info.name = rest[1]
    if len(rest) >= 3 and info.verb != "proxy":
        info.subresource = rest[2]


def _refine_verb(info: RequestInfo, query: Mapping[str, str]) -> None:
    """A get without a name is a list or a watch; a delete without one deletes the collection."""
    if info.name:
        return
    if info.verb == "get":
        watch = query.get("watch")
        info.verb = "list" if watch is None or watch.lower() in _FALSE else "watch"
        if "fieldSelector" in query:
            info.name = _single_name(query["fieldSelector"])
    elif info.verb == "delete":
        info.verb = "deletecollection"


def _single_name(field_selector: str) -> str:
    """The object's name when the selector demands exactly one (`metadata.name=x`)."""
    for term in field_selector.split(","):
        key, equals, value = term.partition("=")
        if equals and key.strip() == "metadata.name":
            return value.removeprefix("=").strip()
    return ""


@dataclass(slots=True)
class Reinvocation:
    """Whether the mutating phase runs a second time, and which webhooks and policies take part.

    `previous` are those that asked to be called again and have been called; `due` are those that
    will be, since something changed the object after them. `output` is what the last one left.
    """

    wanted: bool = False
    again: bool = False
    previous: set[str] = field(default_factory=set)
    due: set[str] = field(default_factory=set)
    output: Object | None = None

    def changed(self) -> None:
        """The object was changed: all before that care are called again."""
        self.wanted = True
        self.due |= self.previous
        self.previous = set()


@dataclass(slots=True)
class AdmissionAttributes:
    """One write on its way through admission.

    `object` is what will be stored (None on DELETE; the subresource's own object, a Scale say, on
    subresources) and may be changed in place or replaced by mutating plug-ins. `options` is the
    CreateOptions, UpdateOptions or DeleteOptions object. Plug-ins append to `warnings`.
    """

    resource: Resource
    operation: str
    object: Object | None
    old: Object | None
    user: User
    name: str = ""
    namespace: str = ""
    subresource: str = ""
    dry_run: bool = False
    options: Object = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    #: The version that the request named, where it may be another than the stored one.
    requested: Resource | None = None
    #: Set while mutating plug-ins run; says whether they shall run again.
    reinvocation: Reinvocation = field(default_factory=Reinvocation)
    #: The same of mutating policies, which take part on their own.
    policies: Reinvocation = field(default_factory=Reinvocation)


@dataclass(slots=True)
class SubresourceContext:
    """What a handler of `subresources.HANDLERS` gets: a POST to a subresource or to a resource
    that is never stored (`subresource == ""`: SubjectAccessReview and friends).

    `body` has been decoded, type-checked and defaulted as the kind that the path takes. The answer
    is an object with `apiVersion` and `kind`; it is sent with 201 (upstream's create). Run
    `registry.admit(...)` where upstream runs admission for the subresource.
    """

    registry: Registry
    info: RequestInfo
    resource: Resource
    user: User
    body: Object
    query: Mapping[str, str]
    services: Services
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)
