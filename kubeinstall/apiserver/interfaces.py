"""What the server core calls in the packages around it, and how it makes them.

Each package below has `build(settings, registry)`, called once at start in this order:
`authn.build -> Authenticator`, `authz.build -> Authorizer`, `hooks.build(…, store) -> {(group, plural): Hooks}`,
`admission.build(settings, registry, authorizer) -> AdmissionChain`; each authenticated request then passes
`authn.impersonate(authorizer, user, headers) -> User` (raises `Forbidden`, `InternalError`);
`authz.forbidden(attributes, decision)` makes the 403 answer. Then `bootstrap.ensure(services)` is
awaited before the server says that it is ready, and `subresources.HANDLERS` is looked up by each request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kubeinstall.api.types import Object

if TYPE_CHECKING:
    from kubeinstall.apiserver.authn.tokens import ServiceAccountTokens, Verified
    from kubeinstall.apiserver.config import ApiServerSettings
    from kubeinstall.apiserver.registry import Registry
    from kubeinstall.apiserver.request import (
        AdmissionAttributes,
        Attributes,
        Decision,
        SubresourceContext,
        User,
    )


class Authenticator(Protocol):
    """Tells who asks."""

    async def authenticate(
        self, headers: Mapping[str, str], peer_certificate_der: bytes | None
    ) -> User:
        """The user of the client certificate or of the `Authorization` header; the anonymous user
        when there is neither. Raises `Unauthorized` when credentials were given and none is valid
        (or anonymous requests are off). `headers` is case-insensitive. The certificate's chain to
        the client CA is NOT verified yet: the authenticator verifies it. The core caches the answer
        for a certificate as long as its connection lives, never for tokens."""
        ...

    def verify_token(self, token: str, audiences: Sequence[str] = ()) -> Verified:
        """Whose token it is (TokenReview). Raises `Unauthorized`."""
        ...

    @property
    def tokens(self) -> ServiceAccountTokens:
        """Issues and verifies service-account tokens; has the issuer's documents."""
        ...


class Authorizer(Protocol):
    """Tells who may do what. Called often: cache, and invalidate by `Registry.observe`."""

    def authorize(self, attributes: Attributes) -> Decision:
        """The verdict of the chain of authorization modes."""
        ...

    def rules_for(self, user: User, namespace: str) -> tuple[list[Object], tuple[str, ...], bool]:
        """The user's rules, errors met, and whether the list is incomplete."""
        ...


class AdmissionChain(Protocol):
    """The admission plug-ins that are on, in upstream's order."""

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        """Let plug-ins change `attributes.object`; raises `Forbidden` and friends to refuse."""
        ...

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """Let plug-ins refuse the object in its final form."""
        ...

    async def close(self) -> None:
        """Close the plug-ins' connections."""
        ...


class Hooks(Protocol):
    """What a resource does around its writes beyond strategy and validation: allocations."""

    async def before_create(self, registry: Registry, obj: Object, dry_run: bool) -> None:
        """Upstream's BeginCreate: after mutating admission and the strategy's preparation, BEFORE
        validation, so that validation sees what was filled in (cluster IPs). A dry run must take
        nothing; when anything after another one fails, `rollback_create` is called."""
        ...

    async def before_update(
        self, registry: Registry, new: Object, old: Object, dry_run: bool
    ) -> None:
        """Upstream's BeginUpdate: before validation; may fill fields in. A dry run must take
        nothing; when anything after another one fails, `rollback_update` is called."""
        ...

    async def after_update(self, registry: Registry, new: Object, old: Object) -> None:
        """Once the update is in the store: release what the object no longer has."""
        ...

    async def after_delete(self, registry: Registry, obj: Object) -> None:
        """Once the object is gone from the store: release what it held."""
        ...

    async def rollback_create(self, registry: Registry, obj: Object) -> None:
        """The create failed after `before_create`: give back what that took."""
        ...

    async def rollback_update(self, registry: Registry, new: Object, old: Object) -> None:
        """The update failed after `before_update`."""
        ...


@dataclass(slots=True)
class Services:
    """Everything that a running API server is made of."""

    settings: ApiServerSettings
    registry: Registry
    authenticator: Authenticator
    authorizer: Authorizer
    admission: AdmissionChain
    hooks: Mapping[tuple[str, str], Hooks]


SubresourceHandler = Callable[["SubresourceContext"], Awaitable[Object]]
