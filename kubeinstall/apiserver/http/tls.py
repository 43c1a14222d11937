"""The server side of TLS: ask for a client certificate, and leave its verification to authentication.

Upstream asks for a certificate without verifying it in the handshake (`tls.RequestClientCert`), so
that a certificate of an unknown CA is answered with 401 and not with a broken connection. Python
has no such mode: `CERT_OPTIONAL` verifies. `SSL_CTX_set_cert_verify_callback` with a function that
always agrees gives it; the authenticator then verifies every chain itself. Where the interpreter's
OpenSSL cannot be reached that way (a static build), `CERT_OPTIONAL` remains: still safe, but a
certificate of an unknown CA ends the handshake.
"""

from __future__ import annotations

import _ssl
import ctypes
import ssl
from pathlib import Path

_VerifyCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


# Kept for the life of the process: OpenSSL holds only the address.
_ACCEPT = _VerifyCallback(lambda _store_context, _argument: 1)


def server_context(certificate: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
    """A context for serving; certificates of clients are asked for when there is a client CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    # Renegotiation costs much and nobody needs it; tickets make reconnecting clients cheap.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if client_ca is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        if not _verify_later(context):
            context.load_verify_locations(client_ca)
    return context


def _verify_later(context: ssl.SSLContext) -> bool:
    """Make handshakes agree to any client certificate; False where that cannot be done.

    CPython's context object begins with the object header and then the `SSL_CTX *`.
    """
    try:
        library = ctypes.CDLL(_ssl.__file__)
        install = library.SSL_CTX_set_cert_verify_callback
        check = library.SSL_CTX_get_verify_mode
    except (AttributeError, OSError):
        return False
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    if not pointer:
        return False
    check.argtypes, check.restype = [ctypes.c_void_p], ctypes.c_int
    install.argtypes, install.restype = [ctypes.c_void_p, _VerifyCallback, ctypes.c_void_p], None
    if check(pointer) != int(ssl.CERT_OPTIONAL):
        return False
    install(pointer, _ACCEPT, None)
    return True
