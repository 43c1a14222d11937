"""Requests for group versions that another server serves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from kubeinstall.apiserver.admission.webhooks.client import CallFailed, resolve_service
from kubeinstall.apiserver.aggregation.transport import (
    BadTransport,
    identity_headers,
    without_identity,
)
from kubeinstall.apiserver.proxy import web
from kubeinstall.apiserver.proxy.tunnel import Backend, tunnel, wants_upgrade
from kubeinstall.apiserver.respond import send_text
from kubeinstall.errors import KubeinstallError, ServiceUnavailable

if TYPE_CHECKING:
    import ssl

    from kubeinstall.apiserver.aggregation.services import Remote
    from kubeinstall.apiserver.core import Core
    from kubeinstall.apiserver.http import Exchange
    from kubeinstall.apiserver.request import User


async def forward(
    core: Core, exchange: Exchange, remote: Remote, user: User, *, seconds: float | None
) -> None:
    """Hand the request on in the name of `user`. Refusals are plain text, as upstream's proxy has them.

    `seconds` limits it, None for watches and streams.
    """
    if not remote.available:
        send_text(exchange, 503, "service unavailable\n")
        return
    try:
        context = core.transport.context(remote.bundle, insecure=remote.insecure)
    except BadTransport as error:
        send_text(exchange, 500, f"{error}\n")
        return
    try:
        async with asyncio.timeout(seconds):
            if wants_upgrade(exchange):
                await _upgraded(core, exchange, remote, user, context)
            else:
                await _plain(core, exchange, remote, user, context)
    except CallFailed:
        _fail(exchange, "service unavailable")
    except (ServiceUnavailable, TimeoutError, aiohttp.ClientError) as error:
        _fail(exchange, _words(error))


def _words(error: Exception) -> str:
    if isinstance(error, KubeinstallError):
        return str(error)
    return str(error) or "context deadline exceeded"


def _fail(exchange: Exchange, text: str) -> None:
    if exchange.status:  # the answer had begun: all that is left is to cut it
        if exchange.transport is not None:
            exchange.transport.abort()
        return
    send_text(exchange, 503, f"{text}\n")


def _target(exchange: Exchange) -> str:
    return exchange.raw_path + (f"?{exchange.raw_query}" if exchange.raw_query else "")


async def _plain(
    core: Core, exchange: Exchange, remote: Remote, user: User, context: ssl.SSLContext
) -> None:
    headers = [*without_identity(web.end_to_end(exchange)), *identity_headers(user)]
    async with core.transport.session.request(
        exchange.method,
        URL(remote.origin + _target(exchange), encoded=True),
        headers=headers,
        data=web.body_of(exchange),
        allow_redirects=False,
        ssl=context,
    ) as response:
        await web.answer(exchange, response, "")


async def _upgraded(
    core: Core, exchange: Exchange, remote: Remote, user: User, context: ssl.SSLContext
) -> None:
    host, port = resolve_service(
        core.services.registry, remote.namespace, remote.service, remote.port
    )
    backend = Backend(
        host,
        port,
        _target(exchange),
        context,
        server_name=remote.host,
        headers=tuple(identity_headers(user)),
    )
    await tunnel(exchange, backend)
