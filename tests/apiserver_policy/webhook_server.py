"""A real HTTPS server with a CA of its own, whose answers the tests choose."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.https_server import serve_https

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: str, issuer: str, key: Any, signer: Any, *extensions: x509.ExtensionType
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(signer, hashes.SHA256())


class WebhookServer:
    """`answers[path]` makes the `response` of a review; `asked` are the requests seen, with their path."""

    def __init__(self, directory: Path) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.delay = 0.0
        self.port = 0
        authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = _certificate(
            "hooks-ca",
            "hooks-ca",
            authority,
            authority,
            x509.BasicConstraints(ca=True, path_length=None),
            x509.SubjectKeyIdentifier.from_public_key(authority.public_key()),
            x509.KeyUsage(True, False, False, False, False, True, True, False, False),
        )
        names = x509.SubjectAlternativeName(
            [
                x509.DNSName("hooks.hooks.svc"),
                x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            ]
        )
        leaf = _certificate(
            "hooks",
            "hooks-ca",
            key,
            authority,
            names,
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),
        )
        pem = root.public_bytes(serialization.Encoding.PEM)
        self.bundle = base64.b64encode(pem).decode()
        pair = directory / "hooks.pem"
        pair.write_bytes(
            leaf.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.tls.load_cert_chain(pair)

    def config(self, path: str) -> dict[str, Any]:
        """A clientConfig by URL."""
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": self.bundle}

    async def _handle(self, request: web.Request) -> web.Response:
        review = json.loads(await request.read())
        self.asked.append((request.path, review["request"]))
        await asyncio.sleep(self.delay)
        answer = self.answers[request.path](review["request"])
        if "raw" in answer:
            return web.Response(text=answer["raw"], status=answer.get("status", 200))
        body = {
            "kind": review["kind"],
            "apiVersion": review["apiVersion"],
            "response": {"uid": review["request"]["uid"], **answer},
        }
        return web.json_response(body)

    @contextlib.asynccontextmanager
    async def running(self, host: str = "127.0.0.1") -> AsyncIterator[WebhookServer]:
        """Serve on a free port."""
        async with serve_https(self._handle, host, self.tls) as self.port:
            yield self


def patched(*operations: dict[str, Any]) -> dict[str, Any]:
    """An answer that allows and patches."""
    text = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": text}
