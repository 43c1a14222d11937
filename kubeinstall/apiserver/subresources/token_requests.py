"""serviceaccounts/token: a token for a service account, bound to a pod, secret or node if asked.

Upstream documentation: "TokenRequest", "Bound service account tokens".
"""

from __future__ import annotations

import copy
import time
from typing import NamedTuple

from kubeinstall.api import times
from kubeinstall.api.names import new_uid
from kubeinstall.api.types import Object
from kubeinstall.apiserver.authn.claims import Binding, bound_claims
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import SubresourceContext
from kubeinstall.apiserver.subresources.answers import admit
from kubeinstall.errors import BadRequest, Conflict, FieldError, Invalid, NotFound

_GROUP = "authentication.k8s.io"
_DEFAULT_SECONDS = 3600
_LEAST_SECONDS = 600
_MOST_SECONDS = 1 << 32
#: What pods' projected tokens ask for; such a token may live longer than that, marked (below).
_PROJECTED_SECONDS = 3607
_EXTENDED_SECONDS = 365 * 24 * 3600
_BOUND_KINDS = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


class _Bound(NamedTuple):
    binding: Binding | None
    node: Binding | None


async def request_token(context: SubresourceContext) -> Object:
    """Issue a token and answer the TokenRequest with it."""
    registry, body = context.registry, context.body
    namespace, name = context.info.namespace, context.info.name
    account = await registry.get_live(kind("serviceaccounts"), name, namespace)
    tokens = context.services.authenticator.tokens
    metadata, spec = body.setdefault("metadata", {}), body.setdefault("spec", {})
    if metadata.get("name", name) != name or metadata.get("namespace", namespace) != namespace:
        raise BadRequest("the name and namespace of the request must be those of the URL")
    spec.setdefault("expirationSeconds", _DEFAULT_SECONDS)
    _validate(body)
    metadata["name"], metadata["namespace"] = name, namespace
    await admit(context, name)  # which must see what was asked for, not the default
    if not spec.get("audiences"):
        spec["audiences"] = list(tokens.audiences)
    bound = await _bound(registry, spec.get("boundObjectRef"), account)
    asked, audiences = int(spec["expirationSeconds"]), tuple(spec["audiences"])
    settings = context.services.settings
    seconds, warn_after = _lifetime(
        asked,
        ours=set(audiences) <= set(tokens.audiences),
        extend=settings.service_account_extend_token_expiration,
        most=int(settings.service_account_max_token_expiration),
    )
    claims = bound_claims(
        issuer=tokens.issuers[0],
        account=account,
        audiences=audiences,
        seconds=seconds,
        token_id=new_uid(),
        binding=bound.binding,
        node=bound.node,
        warn_after=warn_after,
    )
    answer = copy.deepcopy(body)
    answer["metadata"].setdefault("creationTimestamp", times.now())
    answer["spec"].setdefault("boundObjectRef", None)  # upstream always tells it
    answer["status"] = {
        "token": tokens.issue(claims),
        "expirationTimestamp": times.from_unix(int(time.time()) + min(asked, seconds)),
    }
    return answer


def _lifetime(asked: int, *, ours: bool, extend: bool, most: int) -> tuple[int, int]:
    """(seconds that the token is good for, seconds after which its use is worth a warning)."""
    if most:
        asked = min(asked, most)
    if extend and ours and asked == _PROJECTED_SECONDS:
        return _EXTENDED_SECONDS, asked
    return asked, 0


def _validate(body: Object) -> None:
    seconds = int(body["spec"]["expirationSeconds"])
    problem = ""
    if seconds < _LEAST_SECONDS:
        problem = "may not specify a duration less than 10 minutes"
    elif seconds > _MOST_SECONDS:
        problem = "may not specify a duration larger than 2^32 seconds"
    if problem:
        error = FieldError(
            "FieldValueInvalid", "spec.expirationSeconds", f"Invalid value: {seconds}: {problem}"
        )
        name = body["metadata"].get("name", "")
        raise Invalid(_GROUP, "TokenRequest", name, [error])


async def _bound(registry: Registry, reference: Object | None, account: Object) -> _Bound:
    if not reference:
        return _Bound(None, None)
    metadata = account["metadata"]
    version, what = reference.get("apiVersion", ""), reference.get("kind", "")
    plural = _BOUND_KINDS.get(what) if version == "v1" else None
    if plural is None:
        raise BadRequest(
            f'cannot bind token for serviceaccount "{metadata["name"]}" to object of type '
            f"{version}, Kind={what}"
        )
    namespace = "" if plural == "nodes" else metadata["namespace"]
    obj = await registry.get_live(kind(plural), reference.get("name", ""), namespace)
    uid = obj["metadata"].get("uid", "")
    if reference.get("uid") and reference["uid"] != uid:
        raise Conflict(
            f'Operation cannot be fulfilled on {what} "{reference.get("name", "")}": '
            f"the UID in the bound object reference ({reference['uid']}) does not match the UID "
            "in record. The object might have been deleted and then recreated",
            details={"name": reference.get("name", ""), "kind": what},
        )
    if plural == "pods":
        return _bound_to_pod(registry, obj, metadata["name"])
    return _Bound(Binding(what.lower(), obj["metadata"]["name"], uid), None)


def _bound_to_pod(registry: Registry, pod: Object, account: str) -> _Bound:
    spec = pod.get("spec") or {}
    if spec.get("serviceAccountName") != account:
        raise BadRequest(
            f'cannot bind token for serviceaccount "{account}" to pod running with different '
            "serviceaccount name."
        )
    metadata = pod["metadata"]
    binding = Binding("pod", metadata["name"], metadata.get("uid", ""))
    if not spec.get("nodeName"):
        return _Bound(binding, None)
    try:
        node = registry.get(kind("nodes"), spec["nodeName"])
    except NotFound:
        return _Bound(binding, Binding("node", spec["nodeName"], ""))
    return _Bound(binding, Binding("node", spec["nodeName"], node["metadata"].get("uid", "")))
