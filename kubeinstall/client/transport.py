"""One HTTP connection pool to one API server: TLS, credentials, retries, error answers."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

import aiohttp
import structlog

from kubeinstall.client import status
from kubeinstall.client.backoff import Backoff
from kubeinstall.client.kubeconfig import ClientConfig
from kubeinstall.errors import SettingsError, StatusError, Timeout

log = structlog.get_logger("client")

#: Connections for ordinary requests; watches have their own pool, so that they cannot starve them.
MAX_CONNECTIONS = 64
MAX_WATCHES = 4096
#: Seconds that an idle connection is kept; below the server's own limit, so that it is ours to close.
KEEPALIVE_SECONDS = 50.0
REQUEST_SECONDS = 65.0
CONNECT_SECONDS = 10.0
TOKEN_FILE_SECONDS = 60.0
#: How often a certificate's file is looked at; upstream's client: 5 minutes.
CERT_FILE_SECONDS = 60.0
#: Retries of one request on 429/5xx with Retry-After (upstream's client: 10).
MAX_RETRIES = 10
#: Retries of a GET whose connection broke; the informers above retry for ever anyway.
MAX_CONNECTION_RETRIES = 3
MAX_RETRY_AFTER_SECONDS = 30

_IDEMPOTENT = frozenset({"GET", "HEAD"})


class Transport:
    """Sends requests to `config.server`; an async context manager.

    `source` re-reads the configuration (certificates rotate on disk): see `reload`.
    """

    def __init__(
        self,
        config: ClientConfig,
        user_agent: str,
        source: Callable[[], ClientConfig] | None = None,
        fence: Callable[[], None] | None = None,
    ) -> None:
        """`fence` is asked before anything is written; what it raises keeps the request back."""
        self._config = config
        self._fence = fence
        self._source = source
        self._user_agent = user_agent
        self._ssl = config.ssl_context()
        self._session: aiohttp.ClientSession | None = None
        self._watches: aiohttp.ClientSession | None = None
        self._file_token = ("", 0.0)
        self._cert_seen, self._cert_looked = _stamp(config.cert_file), time.monotonic()

    @property
    def server(self) -> str:
        """The URL of the server, without a trailing slash."""
        return self._config.server

    async def __aenter__(self) -> Transport:
        self._session = self._new_session(MAX_CONNECTIONS)
        self._watches = self._new_session(MAX_WATCHES)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for session in (self._session, self._watches):
            if session is not None:
                await session.close()
        self._session = self._watches = None
        # Aborted connections are closed in the loop's next rounds: a loop that ended at once would
        # leave their sockets to the garbage collector.
        await asyncio.sleep(0.01)

    def reload(self) -> None:
        """Read certificates and tokens again; new connections use them, open ones live on."""
        if self._source is None:
            raise SettingsError("this client was not made from a file: nothing to read again")
        self._config = self._source()
        self._ssl = self._config.ssl_context()
        self._file_token = ("", 0.0)
        self._cert_seen, self._cert_looked = _stamp(self._config.cert_file), time.monotonic()

    def _follow_certificate(self) -> None:
        """Take up a certificate that somebody rotated: the kubelet does so for a node's components."""
        if self._config.cert_file is None or self._source is None:
            return
        now = time.monotonic()
        if now - self._cert_looked < CERT_FILE_SECONDS:
            return
        self._cert_looked = now
        if _stamp(self._config.cert_file) != self._cert_seen:
            try:
                self.reload()
            except (SettingsError, OSError) as error:
                log.warning("rotated certificate not taken up", error=str(error))

    def _new_session(self, limit: int) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=limit,
            keepalive_timeout=KEEPALIVE_SECONDS,
            ttl_dns_cache=60,
            socket_factory=_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
            auto_decompress=True,
            read_bufsize=256 * 1024,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[] if self._fence is None else [_fenced(self._fence)],
        )

    def _headers(self, extra: Mapping[str, str]) -> dict[str, str]:
        headers = dict(extra)
        token = self._config.token or self._read_token()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        elif self._config.username:
            auth = aiohttp.BasicAuth(self._config.username, self._config.password)
            headers["Authorization"] = auth.encode()
        if self._config.impersonate:
            headers["Impersonate-User"] = self._config.impersonate
        return headers

    def _read_token(self) -> str:
        file = self._config.token_file
        if file is None:
            return ""
        token, read_at = self._file_token
        if not token or time.monotonic() - read_at > TOKEN_FILE_SECONDS:
            token = _token_from(file)
            self._file_token = (token, time.monotonic())
        return token

    def _arguments(self, headers: Mapping[str, str]) -> dict[str, Any]:
        self._follow_certificate()
        arguments: dict[str, Any] = {"headers": self._headers(headers), "ssl": self._ssl}
        if self._config.tls_server_name:
            arguments["server_hostname"] = self._config.tls_server_name
        return arguments

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = REQUEST_SECONDS,
    ) -> bytes:
        """Send one request and read the whole answer.

        Retries GETs whose connection broke, and anything the server asks to repeat with Retry-After
        on 429 or 5xx. Raises StatusError for other answers of 400 and more, `Unreachable` without
        an answer and `Timeout` after `timeout` seconds.
        """
        backoff = Backoff(base=0.05, cap=2.0)
        connection_tries = 0
        for attempt in range(MAX_RETRIES + 1):
            try:
                return await self._once(method, path, params, body, headers or {}, timeout)
            except status.Unreachable:
                connection_tries += 1
                if method not in _IDEMPOTENT or connection_tries > MAX_CONNECTION_RETRIES:
                    raise
                await asyncio.sleep(backoff.next())
            except StatusError as error:
                if attempt == MAX_RETRIES or not _asks_to_retry(error):
                    raise
                seconds = min(error.retry_after or 1, MAX_RETRY_AFTER_SECONDS)
                log.debug("request throttled by the server", path=path, seconds=seconds)
                await asyncio.sleep(seconds)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _once(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout: float,
    ) -> bytes:
        session = self._session
        if session is None:
            raise SettingsError("the API client is closed; use it inside `async with`")
        try:
            async with session.request(
                method,
                self._config.server + path,
                params=params,
                data=body,
                timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_SECONDS),
                **self._arguments(headers),
            ) as answer:
                data = await answer.read()
                if answer.status >= 400:
                    raise status.from_answer(answer.status, data, answer.headers.get("Retry-After"))
                return data
        except TimeoutError as error:
            raise Timeout(f"{method} {path}: no answer within {timeout:g}s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise status.Unreachable(
                f"{method} {self._config.server}{path}: {error or type(error).__name__}"
            ) from error

    async def stream(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        idle_seconds: float | None = None,
    ) -> aiohttp.ClientResponse:
        """Open a GET whose body is read bit by bit; the caller must `close()` the response."""
        session = self._watches
        if session is None:
            raise SettingsError("the API client is closed; use it inside `async with`")
        try:
            answer = await session.get(
                self._config.server + path,
                params=params,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_SECONDS, sock_read=idle_seconds
                ),
                **self._arguments(headers or {}),
            )
            if answer.status >= 400:
                data = await answer.read()
                raise status.from_answer(answer.status, data, answer.headers.get("Retry-After"))
        except TimeoutError as error:
            raise Timeout(f"GET {path}: no answer") from error
        except (aiohttp.ClientError, OSError) as error:
            raise status.Unreachable(
                f"GET {self._config.server}{path}: {error or type(error).__name__}"
            ) from error
        return answer


def _fenced(fence: Callable[[], None]) -> aiohttp.TraceConfig:
    """Ask `fence` when a request that writes has its connection, right before it is sent: it may have waited long for
    one. Raising there ends the request."""
    tracing = aiohttp.TraceConfig()

    async def started(_session: object, context: SimpleNamespace, params: Any) -> None:
        context.writes = params.method not in _IDEMPOTENT

    async def connected(_session: object, context: SimpleNamespace, _params: Any) -> None:
        if context.writes:
            fence()

    tracing.on_request_start.append(started)
    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(connected)
    return tracing


def _asks_to_retry(error: StatusError) -> bool:
    # Upstream repeats exactly what carries Retry-After, whatever the method: the server has said
    # that it did not act on the request.
    if error.status_code == 429:
        # An eviction refused by a disruption budget is an answer, not throttling.
        causes = (error.details or {}).get("causes") or []
        return all(cause.get("reason") != "DisruptionBudget" for cause in causes)
    return error.status_code >= 500 and error.retry_after is not None


def _stamp(file: Path | None) -> tuple[int, int]:
    """What changes when the file, or the link to it, is replaced."""
    if file is None:
        return 0, 0
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def _token_from(file: Path) -> str:
    try:
        return file.read_text("ascii").strip()
    except OSError as error:
        raise SettingsError(f"cannot read token file {file}: {error.strerror}") from error


def _socket(address: Any) -> socket.socket:
    """A socket that notices a dead peer within about half a minute: watches are idle for long."""
    family, kind, proto = address[0], address[1], address[2]
    made = socket.socket(family, kind, proto)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 35_000)
    return made
