"""One HTTPS request to an API server that is not trusted yet: status, body, and what time it is there."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from kubeinstall.errors import KubeinstallError
from kubeinstall.pki.identity import split_host_port

Object = dict[str, Any]

_SECONDS = 10.0
_USER_AGENT = "kubeinstall"


class NoAnswer(KubeinstallError):
    """Nothing answered, or not an API server that the CA vouches for; the message says which."""


class Untrusted(NoAnswer):
    """Somebody answered with a certificate that is not good."""


@dataclass(frozen=True)
class Credentials:
    """What to prove oneself with; all empty for an anonymous request. `pair` is a client certificate and its key, PEM.

    Has no repr: it carries secrets.
    """

    token: str = ""
    pair: bytes = b""

    def __repr__(self) -> str:
        return "Credentials(…)"


ANONYMOUS = Credentials()


@dataclass(frozen=True)
class Answer:
    """`skew`: how far this host's clock is ahead of the server's, in seconds; None when it did not say."""

    status: int
    body: bytes
    skew: float | None

    @property
    def document(self) -> Object:
        """The body as JSON; empty when it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def message(self) -> str:
        """The server's words in an error."""
        return str(self.document.get("message") or f"HTTP status {self.status}")


def get(
    server: str, path: str, *, ca_pem: bytes = b"", credentials: Credentials = ANONYMOUS
) -> Answer:
    """GET `path` of `server` (a URL). Without `ca_pem` anybody may be answering. Raises `NoAnswer`.

    Credentials are sent only to a server that the CA vouches for.
    """
    parts = urlsplit(server)
    host, port = split_host_port(parts.netloc, 443)
    connection = http.client.HTTPSConnection(
        host, port, timeout=_SECONDS, context=_context(ca_pem, credentials)
    )
    headers = {"User-Agent": _USER_AGENT, "Accept": "application/json"}
    if credentials.token and ca_pem:
        headers["Authorization"] = f"Bearer {credentials.token}"
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.read(), _skew(response.getheader("Date")))
    except ssl.SSLCertVerificationError as error:
        raise Untrusted(f"{server}: its certificate is not good: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise NoAnswer(
            f"{server}: what answers there does not speak TLS ({error.reason})"
        ) from error
    except TimeoutError as error:
        raise NoAnswer(f"{server}: no answer within {_SECONDS:.0f} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"{server}: {_words(error)}") from error
    finally:
        connection.close()


def _context(ca_pem: bytes, credentials: Credentials) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_pem:
        context.load_verify_locations(cadata=ca_pem.decode("ascii", "ignore"))
        if credentials.pair:
            load_pair(context, credentials.pair)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def load_pair(context: ssl.SSLContext, pair: bytes) -> None:
    """A client certificate and its key, which OpenSSL's binding reads from files only: one that is in memory."""
    handle = os.memfd_create("kubeinstall-client")
    try:
        os.write(handle, pair)
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def _skew(date: str | None) -> float | None:
    if not date:
        return None
    try:
        there = parsedate_to_datetime(date)
    except ValueError:
        return None
    return (datetime.now(UTC) - there).total_seconds()


def _words(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).lower() if isinstance(error, OSError) else str(text)
