"""Who asks, and whether they may: certificates, then TokenReview; SubjectAccessReview on the node."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient
from kubeinstall.errors import StatusError

TOKEN_SECONDS = 120.0
ALLOWED_SECONDS, DENIED_SECONDS = 300.0, 30.0
CACHE_SIZE = 1024
_VERBS = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated client."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


class Authenticator:
    """KubeletConfiguration's `authentication`."""

    def __init__(self, client: ApiClient, config: Object) -> None:
        self._client = client
        self._anonymous = bool((config.get("anonymous") or {}).get("enabled", False))
        self._webhook = (config.get("webhook") or {}).get("enabled", True) is not False
        self._cache: OrderedDict[str, tuple[float, User | None]] = OrderedDict()

    async def user(self, request: web.BaseRequest) -> User | None:
        """The client, or None where it is nobody (401)."""
        found = _certificate_user(request)
        if found is not None:
            return found
        header = request.headers.get("Authorization", "")
        if header.lower().startswith("bearer "):
            return await self._token_user(header[7:].strip()) if self._webhook else None
        return ANONYMOUS if self._anonymous else None

    async def _token_user(self, token: str) -> User | None:
        key = hashlib.sha256(token.encode()).hexdigest()
        known = self._cache.get(key)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        review: Object = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "metadata": {},
            "spec": {"token": token},
        }
        try:
            answer = await self._client.create("authentication.k8s.io/v1/tokenreviews", review)
        except StatusError:
            return None
        status = answer.get("status") or {}
        user = None
        if status.get("authenticated"):
            info = status.get("user") or {}
            user = User(
                info.get("username", ""), tuple(info.get("groups") or ()), info.get("uid", "")
            )
        _remember(self._cache, key, (time.monotonic() + TOKEN_SECONDS, user))
        return user


class Authorizer:
    """KubeletConfiguration's `authorization`: AlwaysAllow, or Webhook (the default)."""

    def __init__(self, client: ApiClient, node: str, config: Object) -> None:
        self._client = client
        self._node = node
        self._always = config.get("mode") == "AlwaysAllow"
        self._cache: OrderedDict[tuple[Any, ...], tuple[float, bool]] = OrderedDict()

    async def allowed(self, user: User, method: str, path: str) -> tuple[bool, str]:
        """(verdict, the words of a refusal)."""
        verb = _VERBS.get(method, "")
        names = subresources(path)
        if self._always:
            return True, ""
        for name in names:
            if await self._review(user, verb, name):
                return True, ""
        shown = " ".join(names)
        return False, (
            f"Forbidden (user={user.name}, verb={verb}, resource=nodes, subresource(s)=[{shown}])"
        )

    async def _review(self, user: User, verb: str, subresource: str) -> bool:
        key = (user.name, user.groups, verb, subresource)
        known = self._cache.get(key)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        review: Object = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": {
                "user": user.name,
                "groups": list(user.groups),
                "uid": user.uid,
                "resourceAttributes": {
                    "verb": verb,
                    "group": "",
                    "version": "v1",
                    "resource": "nodes",
                    "subresource": subresource,
                    "name": self._node,
                },
            },
        }
        try:
            answer = await self._client.create(
                "authorization.k8s.io/v1/subjectaccessreviews", review
            )
        except StatusError:
            return False
        verdict = bool((answer.get("status") or {}).get("allowed"))
        seconds = ALLOWED_SECONDS if verdict else DENIED_SECONDS
        _remember(self._cache, key, (time.monotonic() + seconds, verdict))
        return verdict


def subresources(path: str) -> list[str]:
    """What of the node a path is, most specific first; `proxy` covers what has no name of its own."""
    first = path.strip("/").split("/", 1)[0]
    match first:
        case "stats" | "metrics" | "checkpoint":
            return [first]
        case "logs":
            return ["log"]
        case "pods" | "runningpods":
            return ["pods", "proxy"]
        case "healthz":
            return ["healthz", "proxy"]
        case "configz":
            return ["configz", "proxy"]
    return ["proxy"]


def _certificate_user(request: web.BaseRequest) -> User | None:
    transport = request.transport
    tls = transport.get_extra_info("ssl_object") if transport is not None else None
    certificate = tls.getpeercert() if tls is not None else None
    if not certificate:
        return None
    name, groups = "", []
    for part in certificate.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                name = value
            elif key == "organizationName":
                groups.append(value)
    return User(name, (*groups, "system:authenticated")) if name else None


def _remember(cache: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > CACHE_SIZE:
        cache.popitem(last=False)
