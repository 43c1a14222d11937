"""Reads kubeconfig files: which server, which CA, which credentials.

Relative file names inside a kubeconfig are relative to its folder, as upstream's. Inline data wins
over a file name. Exec plugins and auth providers are not supported and are named in the error.
"""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubeinstall.errors import SettingsError

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True, repr=False)
class ClientConfig:
    """How to reach and prove oneself to one API server. Has no repr: it carries secrets.

    PEM members are bytes; `token_file` and `cert_file` are read again from time to time, since tokens rotate.
    """

    server: str
    ca_pem: bytes | None = None
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    cert_pem: bytes | None = None
    key_pem: bytes | None = None
    token: str = ""
    token_file: Path | None = None
    #: Where `cert_pem` was read from: it is replaced there when it is rotated. None when it was inline.
    cert_file: Path | None = None
    username: str = ""
    password: str = ""
    namespace: str = ""
    impersonate: str = ""

    def ssl_context(self) -> ssl.SSLContext | bool:
        """The TLS context for `server`; False when it is plain HTTP."""
        if not self.server.startswith("https:"):
            return False
        if self.ca_pem:
            # Not with the system's 140 CAs besides: they cost 5 MB, and none of them may vouch here.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata=self.ca_pem.decode("ascii", "ignore"))
        else:
            context = ssl.create_default_context()
        if self.insecure_skip_tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert_pem and self.key_pem:
            _load_client_certificate(context, self.cert_pem, self.key_pem)
        context.set_alpn_protocols(["http/1.1"])
        return context


def _load_client_certificate(context: ssl.SSLContext, cert: bytes, key: bytes) -> None:
    # OpenSSL's binding reads certificates from files only: one that only we can read, for a moment.
    with tempfile.NamedTemporaryFile(prefix="kubeinstall-") as both:
        both.write(cert.rstrip() + b"\n" + key.rstrip() + b"\n")
        both.flush()
        context.load_cert_chain(both.name)


def load(path: str | Path, context: str | None = None) -> ClientConfig:
    """Read a kubeconfig file; `context` overrides its `current-context`.

    Raises SettingsError naming the file and what is wrong in it.
    """
    file = Path(path)
    try:
        document = yaml.load(file.read_bytes(), Loader=_Loader)  # noqa: S506 - a safe loader, above
    except OSError as error:
        raise SettingsError(f"cannot read kubeconfig {file}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"kubeconfig {file} is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise SettingsError(f"kubeconfig {file} is empty or not a mapping")
    return from_document(document, file, context)


def from_document(document: dict[str, Any], file: Path, context: str | None = None) -> ClientConfig:
    """Like `load`, from the parsed document; `file` resolves relative names and errors."""
    chosen = context or document.get("current-context") or ""
    ctx = _named(document, "contexts", "context", chosen, file)
    cluster = _named(document, "clusters", "cluster", ctx.get("cluster") or "", file)
    user: dict[str, Any] = {}
    if ctx.get("user"):
        user = _named(document, "users", "user", ctx["user"], file)
    for unsupported in ("exec", "auth-provider"):
        if user.get(unsupported):
            raise SettingsError(
                f"kubeconfig {file}: user {ctx['user']!r} uses {unsupported!r}, which is not"
                " supported; use a client certificate or a token"
            )
    server = str(cluster.get("server") or "").rstrip("/")
    if not server.startswith(("https://", "http://")):
        raise SettingsError(f"kubeconfig {file}: cluster {ctx.get('cluster')!r} has no server URL")
    token_file, cert_file = user.get("tokenFile"), user.get("client-certificate")
    inline = bool(user.get("client-certificate-data"))
    return ClientConfig(
        server=server,
        ca_pem=_data(cluster, "certificate-authority", file),
        insecure_skip_tls_verify=bool(cluster.get("insecure-skip-tls-verify")),
        tls_server_name=str(cluster.get("tls-server-name") or ""),
        cert_pem=_data(user, "client-certificate", file),
        key_pem=_data(user, "client-key", file),
        token=str(user.get("token") or ""),
        token_file=_resolve(file, token_file) if token_file else None,
        cert_file=_resolve(file, cert_file) if cert_file and not inline else None,
        username=str(user.get("username") or ""),
        password=str(user.get("password") or ""),
        namespace=str(ctx.get("namespace") or ""),
        impersonate=str(user.get("as") or ""),
    )


def _named(
    document: dict[str, Any], section: str, member: str, name: str, file: Path
) -> dict[str, Any]:
    for entry in document.get(section) or []:
        if entry.get("name") == name:
            found = entry.get(member)
            return found if isinstance(found, dict) else {}
    raise SettingsError(f"kubeconfig {file}: no {member} is named {name!r}")


def _resolve(file: Path, name: str) -> Path:
    return file.parent / name


def _data(section: dict[str, Any], field: str, file: Path) -> bytes | None:
    inline = section.get(f"{field}-data")
    if inline:
        try:
            return base64.b64decode(inline, validate=False)
        except (binascii.Error, ValueError) as error:
            raise SettingsError(f"kubeconfig {file}: {field}-data is not base64") from error
    name = section.get(field)
    if not name:
        return None
    target = _resolve(file, name)
    try:
        return target.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"kubeconfig {file}: cannot read {field} {target}: {error.strerror}"
        ) from error
