"""Who asks: front proxy, client certificate, bearer token, else nobody in particular.

The order is upstream's. Wrong credentials are an error even where anonymous requests are allowed;
no credentials are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kubeinstall.apiserver.authn.bootstrap_tokens import BootstrapTokens
from kubeinstall.apiserver.authn.headers import (
    FrontProxy,
    Headers,
    bearer_token,
    build_front_proxy,
)
from kubeinstall.apiserver.authn.static import StaticTokens
from kubeinstall.apiserver.authn.tokens import ServiceAccountTokens, Verified, build_tokens
from kubeinstall.apiserver.authn.x509 import CertificateBundle, ClientCertificates
from kubeinstall.apiserver.config import ApiServerSettings
from kubeinstall.apiserver.registry import Registry
from kubeinstall.apiserver.request import (
    ANONYMOUS,
    ANONYMOUS_USER,
    AUTHENTICATED_GROUP,
    UNAUTHENTICATED_GROUP,
    User,
)
from kubeinstall.errors import Unauthorized

_MAX_USERS = 8192


class Authenticator:
    """Tells who asks; see `interfaces.Authenticator`."""

    def __init__(
        self,
        *,
        tokens: ServiceAccountTokens,
        certificates: ClientCertificates | None = None,
        front_proxy: FrontProxy | None = None,
        static: StaticTokens | None = None,
        bootstrap: BootstrapTokens | None = None,
        anonymous: bool = True,
    ) -> None:
        self._tokens = tokens
        self._certificates = certificates
        self._front_proxy = front_proxy
        self._static = static
        self._bootstrap = bootstrap
        self._anonymous = anonymous
        # One User object for one certificate or token: authorization compares by identity first.
        self._known: dict[User, User] = {}

    @property
    def tokens(self) -> ServiceAccountTokens:
        """Issues and verifies service-account tokens."""
        return self._tokens

    async def authenticate(self, headers: Headers, peer_certificate_der: bytes | None) -> User:
        """The user who asks. Raises `Unauthorized`."""
        failed = False
        if peer_certificate_der is not None:
            if self._front_proxy is not None:
                user = self._front_proxy.user(headers, peer_certificate_der)
                if user is not None:
                    return self._authenticated(user)
            if self._certificates is not None:
                try:
                    user = self._certificates.user(peer_certificate_der)
                except Unauthorized:
                    failed = True
                else:
                    if user is not None:
                        return self._authenticated(user)
        token = bearer_token(headers)
        if token:
            return self._authenticated(self.verify_token(token).user)
        if failed or not self._anonymous:
            raise Unauthorized
        return ANONYMOUS_USER

    def verify_token(self, token: str, audiences: Sequence[str] = ()) -> Verified:
        """Whose token it is, and for which audiences (TokenReview). Raises `Unauthorized`."""
        if self._static is not None:
            user = self._static.user(token)
            if user is not None:
                return self._for_this_api(user, audiences)
        if self._tokens.speaks_of(token):
            return self._tokens.verify(token, audiences)
        if self._bootstrap is not None:
            user = self._bootstrap.user(token)
            if user is not None:
                return self._for_this_api(user, audiences)
        raise Unauthorized

    def _for_this_api(self, user: User, audiences: Sequence[str]) -> Verified:
        """Tokens without audience are good for this API only."""
        own = self._tokens.audiences
        matching = tuple(a for a in audiences if a in own) if audiences else own
        if audiences and not matching:
            raise Unauthorized
        return Verified(user, matching)

    def _authenticated(self, user: User) -> User:
        """The user with the group that all (or no) authenticated users are in."""
        known = self._known.get(user)
        if known is not None and known.extra == user.extra:
            return known
        marked = with_standard_group(user)
        if len(self._known) >= _MAX_USERS:
            self._known.clear()
        self._known[user] = marked
        return marked


def with_standard_group(user: User) -> User:
    """`user`, in system:authenticated unless it is anonymous or says so already."""
    if user.name == ANONYMOUS or UNAUTHENTICATED_GROUP in user.groups:
        return user
    if AUTHENTICATED_GROUP in user.groups:
        return user
    return replace(user, groups=(*user.groups, AUTHENTICATED_GROUP))


def build(settings: ApiServerSettings, registry: Registry) -> Authenticator:
    """The authenticator that the settings ask for."""
    ca = settings.client_ca_file
    token_file = settings.token_auth_file
    return Authenticator(
        tokens=build_tokens(settings, registry),
        certificates=ClientCertificates(CertificateBundle(ca)) if ca is not None else None,
        front_proxy=build_front_proxy(settings),
        static=StaticTokens(token_file) if token_file is not None else None,
        bootstrap=BootstrapTokens(registry) if settings.enable_bootstrap_token_auth else None,
        anonymous=settings.anonymous_auth,
    )
