"""Every request's way: what is asked → who asks → as whom → how busy are we → may they → do it.

Order and answers are those of upstream's filter chain (`DefaultBuildHandlerChain`).
"""

from __future__ import annotations

import asyncio
import time

from structlog.typing import FilteringBoundLogger

from kubeinstall.api.names import new_uid
from kubeinstall.apiserver import authn, authz
from kubeinstall.apiserver.aggregation.forward import forward
from kubeinstall.apiserver.core import Call, Core
from kubeinstall.apiserver.fairness import Rejected
from kubeinstall.apiserver.fairness.levels import Level
from kubeinstall.apiserver.http import Exchange
from kubeinstall.apiserver.negotiate import Output, negotiate
from kubeinstall.apiserver.plain import serve_plain
from kubeinstall.apiserver.request import RequestInfo, User, parse_request
from kubeinstall.apiserver.respond import send_error, unknown_path, unknown_route
from kubeinstall.apiserver.router import dispatch
from kubeinstall.apiserver.subresources import HANDLERS
from kubeinstall.errors import InternalError, StatusError, StoreError, Timeout

_READS = frozenset({"get", "list"})
#: Streams: outside of priority and fairness and of the timeout.
_LONG_SUBRESOURCES = frozenset({"attach", "exec", "proxy", "log", "portforward"})
_IMPERSONATE = "impersonate-"
_UNCACHED = ("Authorization", "Sec-WebSocket-Protocol")


class Pipeline:
    """Answers exchanges; never raises."""

    def __init__(self, core: Core, log: FilteringBoundLogger) -> None:
        self._core = core
        self._log = log
        self._reading = 0
        self._writing = 0
        #: Where requests stand before there are any schemas.
        self._unlimited = Level("", lambda _level: 0)
        self._unlimited.exempt = True
        #: Set while the server ends: what is new is sent elsewhere.
        self.refusing = False
        self._idle = asyncio.Event()
        self._under_way = 0
        settings = core.settings
        self._front_proxy_headers = settings.requestheader_username_headers
        self._timeout = settings.request_timeout
        gauge = core.metrics.in_flight
        gauge.labels("readOnly").set_function(lambda: self._reading)
        gauge.labels("mutating").set_function(lambda: self._writing)

    async def __call__(self, exchange: Exchange) -> None:
        """Answer one request."""
        begun = time.perf_counter()
        exchange.audit_id = exchange.headers.get("Audit-ID") or new_uid()
        info = parse_request(exchange.method, exchange.path, exchange.query)
        if self.refusing and not _is_health(exchange.path):
            self._refuse(exchange)
            return
        counted = not _is_long(info)
        self._under_way += counted
        try:
            await self._guarded(exchange, info)
        except ConnectionError:
            return  # nobody is left to answer
        finally:
            self._under_way -= counted
            if not self._under_way:
                self._idle.set()
        self._observe(exchange, info, time.perf_counter() - begun)

    @property
    def under_way(self) -> int:
        """How many requests are being answered, watches and other streams not counted."""
        return self._under_way

    async def drained(self, seconds: float) -> bool:
        """Wait until no request is under way; False when that took longer than `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while self._under_way:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _refuse(self, exchange: Exchange) -> None:
        """The server ends, but still listens (--shutdown-send-retry-after)."""
        exchange.respond(
            429,
            "text/plain; charset=utf-8",
            b"The apiserver is shutting down, please try again later.\n",
            [("Retry-After", "5")],
        )

    async def _guarded(self, exchange: Exchange, info: RequestInfo) -> None:
        try:
            await self._serve(exchange, info)
        except StatusError as error:
            self._fail(exchange, error)
        except Rejected:
            self._reject(exchange, "readOnly" if info.verb in _READS else "mutating")
        except StoreError as error:
            self._log.error("Datastore failed", path=exchange.path, error=str(error))
            # As upstream does with errors that it knows no Status for: their words alone, and no reason.
            self._fail(exchange, InternalError(str(error), reason=""))
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - one request must not end the others
            self._core.metrics.panics.inc()
            self._log.error(
                "Request failed", method=exchange.method, path=exchange.path, exc_info=True
            )
            self._fail(
                exchange,
                InternalError(
                    "This request caused apiserver to panic. Look in the logs for details."
                ),
            )

    def _fail(self, exchange: Exchange, error: StatusError) -> None:
        if exchange.status:  # a stream that had begun: all that is left is to cut it
            if exchange.transport is not None:
                exchange.transport.abort()
            return
        try:
            output = negotiate(
                exchange.headers.get("Accept", ""),
                exchange.query.get("pretty"),
                exchange.user_agent,
            )
        except StatusError:
            output = Output()
        send_error(exchange, error, output)

    async def _serve(self, exchange: Exchange, info: RequestInfo) -> None:
        user = await self._authenticate(exchange)
        if any(name[:12].lower() == _IMPERSONATE for name in exchange.headers):
            user = authn.impersonate(self._core.services.authorizer, user, exchange.headers)
        if _is_stream(info):
            await self._authorized(exchange, info, user)
            return
        level = await self._seat(exchange, info, user)
        if info.verb == "watch":
            # A watch costs while it begins; what it is sent later costs its writers.
            level.leave()
            await self._authorized(exchange, info, user)
            return
        try:
            await self._counted(exchange, info, user)
        finally:
            level.leave()

    async def _seat(self, exchange: Exchange, info: RequestInfo, user: User) -> Level:
        """A seat of the request's priority level, waited for where there is none. Raises `Rejected`."""
        flow = self._core.fairness.flow(user, info)
        if flow is None:
            return self._unlimited
        exchange.flow = flow.headers
        if not flow.level.take():
            # As upstream: a quarter of the time that the request has.
            await flow.level.wait(f"{flow.schema}/{flow.name}", self._timeout / 4)
        return flow.level

    async def _counted(self, exchange: Exchange, info: RequestInfo, user: User) -> None:
        if info.verb in _READS or not info.is_resource:
            self._reading += 1
            try:
                await self._authorized(exchange, info, user)
            finally:
                self._reading -= 1
            return
        self._writing += 1
        try:
            async with asyncio.timeout(self._timeout):
                await self._authorized(exchange, info, user)
        except TimeoutError as error:
            raise Timeout(
                "Timeout: request did not complete within the allotted timeout", details={}
            ) from error
        finally:
            self._writing -= 1

    async def _authenticate(self, exchange: Exchange) -> User:
        connection, headers = exchange.connection, exchange.headers
        certificate = connection.peer_certificate
        cacheable = certificate is not None and not any(
            name in headers for name in (*_UNCACHED, *self._front_proxy_headers)
        )
        if cacheable and connection.user is not None:
            return connection.user
        user = await self._core.services.authenticator.authenticate(headers, certificate)
        if cacheable:
            connection.user = user
        return user

    async def _authorized(self, exchange: Exchange, info: RequestInfo, user: User) -> None:
        attributes = info.attributes(user, exchange.query)
        decision = self._core.services.authorizer.authorize(attributes)
        if not decision.allowed:
            raise authz.forbidden(attributes, decision)
        if self._core.aggregation.remotes:
            remote = self._core.aggregation.find(info)
            if remote is not None:
                seconds = None if _is_long(info) else self._timeout
                await forward(self._core, exchange, remote, user, seconds=seconds)
                return
        if not info.is_resource:
            await serve_plain(self._core, exchange, info, user)
            return
        catalog = self._core.catalog
        served = catalog.find(info.group, info.version, info.resource)
        if served is None:
            if catalog.has_version(info.group, info.version):
                raise unknown_route()
            unknown_path(exchange)
            return
        output = negotiate(
            exchange.headers.get("Accept", ""),
            exchange.query.get("pretty"),
            exchange.user_agent,
            listing=info.verb in ("list", "watch"),
            protobuf=served.resource.builtin,
            # What is only asked, never stored, has no columns; upstream's clients expect a refusal.
            tables=(info.group, info.resource, info.subresource) not in HANDLERS,
        )
        await dispatch(self._core, Call(exchange, info, user, served, output))

    def _reject(self, exchange: Exchange, kind: str) -> None:
        self._core.metrics.rejected.labels(kind).inc()
        exchange.respond(
            429,
            "text/plain; charset=utf-8",
            b"Too many requests, please try again later.\n",
            [("Retry-After", "1")],
        )

    def _observe(self, exchange: Exchange, info: RequestInfo, seconds: float) -> None:
        """Count the request. Only names that we know become labels: clients could invent others."""
        method = exchange.method if exchange.method in _METHODS else "other"
        served = self._core.catalog.find(info.group, info.version, info.resource)
        code = str(exchange.status)
        if not info.is_resource or served is None:
            self._core.metrics.observe((method, "", "", "", "", "", "", code), seconds)
            return
        scope = "resource" if info.name else "namespace" if info.namespace else "cluster"
        known = served.resource.subresource(info.subresource) is not None
        labels = (
            _METRIC_VERBS.get(info.verb, method),
            "All" if "dryRun" in exchange.query else "",
            info.group,
            info.version,
            info.resource,
            info.subresource if known else "",
            scope,
            code,
        )
        self._core.metrics.observe(labels, seconds)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_METRIC_VERBS = {
    "get": "GET",
    "list": "LIST",
    "watch": "WATCH",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETECOLLECTION",
}


def _is_health(path: str) -> bool:
    return path.split("/", 2)[1] in ("healthz", "livez", "readyz")


def _is_stream(info: RequestInfo) -> bool:
    return info.verb == "proxy" or info.subresource in _LONG_SUBRESOURCES


def _is_long(info: RequestInfo) -> bool:
    return info.verb == "watch" or _is_stream(info)
