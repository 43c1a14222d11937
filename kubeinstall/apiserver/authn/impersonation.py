"""Acting as somebody else: the `Impersonate-*` headers.

Every part of the assumed identity needs the permission `impersonate` of its own: on users, groups,
serviceaccounts, and on uids and userextras of authentication.k8s.io. Upstream documentation:
"User impersonation".
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeinstall.apiserver.authn.claims import GROUP, split_account
from kubeinstall.apiserver.authn.headers import Headers, all_values, prefixed
from kubeinstall.apiserver.authz import forbidden
from kubeinstall.apiserver.interfaces import Authorizer
from kubeinstall.apiserver.request import (
    ANONYMOUS,
    AUTHENTICATED_GROUP,
    UNAUTHENTICATED_GROUP,
    Attributes,
    User,
)
from kubeinstall.errors import InternalError

_USER = "Impersonate-User"
_GROUP = "Impersonate-Group"
_UID = "Impersonate-Uid"
_EXTRA = "Impersonate-Extra-"
_AUTHENTICATION = "authentication.k8s.io"


def impersonate(authorizer: Authorizer, user: User, headers: Headers) -> User:
    """The user to go on as: `user` itself without such headers.

    Raises `Forbidden` for a part that may not be assumed, `InternalError` for groups, uid or
    extras without a user.
    """
    name = headers.get(_USER, "")
    groups = all_values(headers, _GROUP)
    uid = headers.get(_UID, "")
    extra: dict[str, tuple[str, ...]] = {}
    for key, value in prefixed(headers, _EXTRA):
        extra[key] = (*extra.get(key, ()), value)
    if not name:
        if groups or uid or extra:
            raise InternalError("Internal Server Error: impersonation without impersonating a user")
        return user
    for attributes in _requests(user, name, groups, uid, extra):
        decision = authorizer.authorize(attributes)
        if not decision.allowed:
            raise forbidden(attributes, decision)
    return User(name, uid, _all_groups(name, groups), extra)


def _requests(
    user: User, name: str, groups: list[str], uid: str, extra: dict[str, tuple[str, ...]]
) -> Iterator[Attributes]:
    account = split_account(name)
    if account is not None:
        yield Attributes(
            user,
            "impersonate",
            version="v1",
            resource="serviceaccounts",
            namespace=account[0],
            name=account[1],
        )
    else:
        yield Attributes(user, "impersonate", version="v1", resource="users", name=name)
    for group in groups:
        yield Attributes(user, "impersonate", version="v1", resource="groups", name=group)
    if uid:
        yield Attributes(user, "impersonate", _AUTHENTICATION, "v1", "uids", name=uid)
    for key, values in extra.items():
        for value in values:
            yield Attributes(
                user, "impersonate", _AUTHENTICATION, "v1", "userextras", key, name=value
            )


def _all_groups(name: str, groups: list[str]) -> tuple[str, ...]:
    found = list(groups)
    account = split_account(name)
    if account is not None and not found:
        found = [GROUP, f"{GROUP}:{account[0]}"]
    if AUTHENTICATED_GROUP in found or UNAUTHENTICATED_GROUP in found:
        return tuple(found)
    return (*found, UNAUTHENTICATED_GROUP if name == ANONYMOUS else AUTHENTICATED_GROUP)
