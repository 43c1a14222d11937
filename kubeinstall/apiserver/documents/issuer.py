"""The issuer of service-account tokens: its OIDC discovery document and keys."""

from __future__ import annotations

from kubeinstall.apiserver.authn import Authenticator
from kubeinstall.apiserver.authn.tokens import ServiceAccountTokens
from kubeinstall.apiserver.core import Core
from kubeinstall.apiserver.http import Exchange
from kubeinstall.errors import InternalError

_CACHE = [("Cache-Control", "public, max-age=3600")]


def _tokens(core: Core) -> ServiceAccountTokens:
    authenticator = core.services.authenticator
    if not isinstance(authenticator, Authenticator):
        raise InternalError("this server has no service-account issuer")
    return authenticator.tokens


async def configuration(core: Core, exchange: Exchange) -> None:
    """`/.well-known/openid-configuration`."""
    settings = core.settings
    address = settings.external_hostname or settings.advertise_address or settings.bind_address
    uri = settings.service_account_jwks_uri
    document = _tokens(core).discovery(
        uri or f"https://{address}:{settings.secure_port}/openid/v1/jwks"
    )
    exchange.respond(200, "application/json", document, _CACHE)


async def keys(core: Core, exchange: Exchange) -> None:
    """`/openid/v1/jwks`."""
    exchange.respond(200, "application/jwk-set+json", _tokens(core).jwks(), _CACHE)
