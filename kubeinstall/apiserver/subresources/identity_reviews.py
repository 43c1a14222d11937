"""Who is it? TokenReview tells whose token it is, SelfSubjectReview who asks."""

from __future__ import annotations

from kubeinstall.api import times
from kubeinstall.api.types import Object
from kubeinstall.apiserver.authn.authenticator import with_standard_group
from kubeinstall.apiserver.request import SubresourceContext, User
from kubeinstall.errors import BadRequest, Unauthorized


async def review_token(context: SubresourceContext) -> Object:
    """TokenReview: verify a token, for the audiences asked about or for this API's."""
    spec = context.body.get("spec") or {}
    token, audiences = spec.get("token", ""), tuple(spec.get("audiences") or ())
    if not token:
        raise BadRequest("token is required for TokenReview in authentication")
    try:
        verified = context.services.authenticator.verify_token(token, audiences)
    except Unauthorized:
        status: Object = {"user": {}, "error": "invalid bearer token"}
    else:
        status = {
            "authenticated": True,
            "user": user_info(with_standard_group(verified.user)),
            "audiences": list(verified.audiences),
        }
    return {**context.body, "status": status}


async def review_self(context: SubresourceContext) -> Object:
    """SelfSubjectReview: the user who asks, after impersonation. Nothing of the body comes back."""
    return {
        "apiVersion": context.resource.api_version,
        "kind": context.resource.kind,
        "metadata": {"creationTimestamp": times.now()},
        "status": {"userInfo": user_info(context.user)},
    }


def user_info(user: User) -> Object:
    """The `UserInfo` object."""
    info: Object = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra.items()}
    return info
