"""Asking the cluster for a certificate: a CertificateSigningRequest, and the wait for it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from kubeinstall.api.types import Object
from kubeinstall.client import ApiClient
from kubeinstall.client.status import Unreachable
from kubeinstall.errors import AlreadyExists, KubeinstallError, NotFound, Timeout

REQUESTS = "certificates.k8s.io/v1/certificatesigningrequests"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_SIGNER = "kubernetes.io/kubelet-serving"
NODES = "system:nodes"
#: How long a request is waited for; upstream's certificate manager.
WAIT_SECONDS = 15 * 60.0
_LOOK_FIRST, _LOOK_CAP = 0.1, 2.0


class NotGranted(KubeinstallError):
    """A request was denied, has failed, or nobody decided in time."""


class Refused(NotGranted):
    """Somebody, or the signer, said no."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask for. `names` are DNS names and addresses, of a serving certificate only."""

    node: str
    signer: str = CLIENT_SIGNER
    names: tuple[str, ...] = ()

    @property
    def usages(self) -> list[str]:
        """Keys are ECDSA: no key encipherment."""
        return [
            "digital signature",
            "server auth" if self.signer == SERVING_SIGNER else "client auth",
        ]


async def obtain(client: ApiClient, request: Request, key_file: Path) -> tuple[bytes, bytes]:
    """(certificate, key) as PEM; raises `NotGranted`, StatusErrors as the server sends them.

    The key is kept in `key_file` until the request is granted: whoever asks again after a restart asks with the same
    key, and finds the request of before by its name.
    """
    key, csr = _prepare(request, key_file)
    name = f"node-csr-{_digest(request, csr.public)}"
    wanted: Object = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": base64.b64encode(csr.pem).decode(),
            "signerName": request.signer,
            "usages": request.usages,
        },
    }
    try:
        made = await client.create(REQUESTS, wanted)
    except AlreadyExists:
        made = await client.get(REQUESTS, name)
    try:
        return await _granted(client, made), key
    except Refused:
        # Somebody said no to this very key: the next attempt is another request.
        _forget(key_file)
        raise


@dataclass(frozen=True, slots=True)
class _Csr:
    pem: bytes
    public: bytes


def _prepare(request: Request, key_file: Path) -> tuple[bytes, _Csr]:
    # Imported only when a certificate is asked for: the library costs 15 MB.
    from kubeinstall.pki.certificates import Subject, Usage
    from kubeinstall.pki.errors import PkiError
    from kubeinstall.pki.files import KEY_MODE, write_atomic
    from kubeinstall.pki.keys import DEFAULT_ALGORITHM, generate_key, key_pem, load_key, spki_der
    from kubeinstall.pki.requests import signing_request

    try:
        private = load_key(key_file)
    except PkiError:
        private = generate_key(DEFAULT_ALGORITHM)
        write_atomic(key_file, key_pem(private), KEY_MODE)
    usage = Usage.SERVER if request.signer == SERVING_SIGNER else Usage.CLIENT
    subject = Subject(f"system:node:{request.node}", (NODES,), request.names, usage)
    return key_pem(private), _Csr(signing_request(subject, private), spki_der(private.public_key()))


def _digest(request: Request, public: bytes) -> str:
    """A name for the same key and the same wish, as upstream has one."""
    text = "\0".join((request.node, request.signer, *request.usages, *request.names)).encode()
    digest = hashlib.sha256(public + text).digest()
    return base64.b32encode(digest).decode().rstrip("=").lower()[:43]


async def _granted(client: ApiClient, made: Object) -> bytes:
    """The certificate, once it is signed."""
    name, uid = made["metadata"]["name"], made["metadata"]["uid"]
    deadline, pause = time.monotonic() + WAIT_SECONDS, _LOOK_FIRST
    while True:
        refused = _refused(made)
        if refused:
            raise Refused(f"certificate request {name} was {refused}")
        certificate = (made.get("status") or {}).get("certificate")
        if certificate:
            return base64.b64decode(certificate)
        if time.monotonic() > deadline:
            raise NotGranted(
                f"certificate request {name} is still not signed; approve it with: "
                f"kubectl certificate approve {name}"
            )
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LOOK_CAP)
        try:
            made = await client.get(REQUESTS, name)
        except (Unreachable, Timeout):
            continue
        except NotFound as error:
            raise NotGranted(f"certificate request {name} was deleted") from error
        if made["metadata"]["uid"] != uid:
            raise NotGranted(f"certificate request {name} was made again by somebody else")


def _forget(file: Path) -> None:
    file.unlink(missing_ok=True)


def _refused(request: Object) -> str:
    for condition in (request.get("status") or {}).get("conditions") or []:
        if condition["type"] in ("Denied", "Failed"):
            why = condition.get("message") or condition.get("reason") or "no reason given"
            return f"{condition['type'].lower()}: {why}"
    return ""
