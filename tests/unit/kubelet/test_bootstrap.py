"""TLS bootstrap and rotation against a scripted API: requests, files, refusals, renewal while connections live."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from cryptography import x509

from kubeinstall.client import ApiClient
from kubeinstall.client import kubeconfig as kubeconfigs
from kubeinstall.errors import SettingsError, Unauthorized
from kubeinstall.kubelet import bootstrap_request
from kubeinstall.kubelet.bootstrap import ensure_credentials
from kubeinstall.kubelet.bootstrap_files import CLIENT, Pair, Validity, validity_of
from kubeinstall.kubelet.bootstrap_kubeconfig import credentials_valid
from kubeinstall.kubelet.bootstrap_request import NotGranted, Refused
from kubeinstall.kubelet.bootstrap_rotation import keep_fresh
from kubeinstall.pki.certificates import Subject, certificate_pem, issue, new_authority, sign
from kubeinstall.pki.keys import DEFAULT_ALGORITHM

Object = dict[str, Any]
DAY = timedelta(days=1)
AUTHORITY = new_authority("kubernetes", DEFAULT_ALGORITHM, 30 * DAY)


def certificate(life: timedelta, now: datetime | None = None) -> bytes:
    subject = Subject("system:node:a", ("system:nodes",))
    return certificate_pem(issue(AUTHORITY, subject, DEFAULT_ALGORITHM, life, now).certificate)


class Signer:
    """Takes requests; `decide` says what becomes of one."""

    def __init__(self) -> None:
        self.requests: dict[str, Object] = {}
        self.tokens: list[str] = []
        self.life = DAY
        self.answer = "sign"

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.tokens.append(request.headers.get("Authorization", ""))
        if self.answer == "unauthorized":
            body = {
                "kind": "Status",
                "code": 401,
                "reason": "Unauthorized",
                "message": "Unauthorized",
            }
            return web.json_response(body, status=401)
        if request.method == "POST":
            made = await request.json()
            name = made["metadata"]["name"]
            if name in self.requests:
                body = {
                    "kind": "Status",
                    "code": 409,
                    "reason": "AlreadyExists",
                    "message": "exists",
                }
                return web.json_response(body, status=409)
            made["metadata"]["uid"] = f"uid-{len(self.requests)}"
            self.requests[name] = made
            return web.json_response(made, status=201)
        found = self.requests[request.path.rpartition("/")[2]]
        if self.answer == "deny":
            conditions = [{"type": "Denied", "status": "True", "message": "not this one"}]
            found["status"] = {"conditions": conditions}
        elif self.answer == "sign":
            found["status"] = {"certificate": base64.b64encode(self.sign(found)).decode()}
        return web.json_response(found)

    def sign(self, request: Object) -> bytes:
        csr = x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"]))
        names = {a.rfc4514_attribute_name: a.value for a in csr.subject}
        assert names == {"CN": "system:node:a", "O": "system:nodes"}
        subject = Subject("system:node:a", ("system:nodes",))
        key: Any = csr.public_key()
        return certificate_pem(sign(AUTHORITY, subject, key, self.life))


@asynccontextmanager
async def serving(
    handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def write_bootstrap(path: Path, url: str) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
        "users": [{"name": "u", "user": {"token": "abcdef.0123456789abcdef"}}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


async def test_a_token_becomes_a_certificate(tmp_path: Path) -> None:
    signer = Signer()
    async with serving(signer.handle) as url:
        source = write_bootstrap(tmp_path / "bootstrap.conf", url)
        target = tmp_path / "kubelet.conf"
        await ensure_credentials(target, source, tmp_path / "pki", "a", "test")
        [request] = signer.requests.values()
        assert request["spec"]["signerName"] == "kubernetes.io/kube-apiserver-client-kubelet"
        assert request["spec"]["usages"] == ["digital signature", "client auth"]
        assert set(signer.tokens) == {"Bearer abcdef.0123456789abcdef"}
        config = kubeconfigs.load(target)
        current = tmp_path / "pki/kubelet-client-current.pem"
        assert (config.server, config.token, config.cert_file) == (url, "", current)
        assert current.is_symlink()
        assert current.stat().st_mode & 0o777 == 0o600
        assert not (tmp_path / "pki/kubelet-client.key.tmp").exists()
        assert credentials_valid(target)
        await ensure_credentials(target, source, tmp_path / "pki", "a", "test")
        assert len(signer.requests) == 1


async def test_a_restart_finds_its_request_again(tmp_path: Path) -> None:
    signer = Signer()
    signer.answer = "wait"
    async with serving(signer.handle) as url:
        source = write_bootstrap(tmp_path / "bootstrap.conf", url)
        arguments = (tmp_path / "kubelet.conf", source, tmp_path / "pki", "a", "test")
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await ensure_credentials(*arguments)
        assert len(signer.requests) == 1
        signer.answer = "sign"
        await ensure_credentials(*arguments)
        assert len(signer.requests) == 1


async def test_a_denied_request_is_told_and_the_next_is_another(tmp_path: Path) -> None:
    signer = Signer()
    signer.answer = "deny"
    async with serving(signer.handle) as url:
        source = write_bootstrap(tmp_path / "bootstrap.conf", url)
        arguments = (tmp_path / "kubelet.conf", source, tmp_path / "pki", "a", "test")
        with pytest.raises(Refused, match="denied: not this one"):
            await ensure_credentials(*arguments)
        signer.answer = "sign"
        await ensure_credentials(*arguments)
        assert len(signer.requests) == 2


async def test_what_nobody_decides_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap_request, "WAIT_SECONDS", 0.2)
    signer = Signer()
    signer.answer = "wait"
    async with serving(signer.handle) as url:
        source = write_bootstrap(tmp_path / "bootstrap.conf", url)
        with pytest.raises(NotGranted, match="kubectl certificate approve node-csr-"):
            await ensure_credentials(tmp_path / "k.conf", source, tmp_path / "pki", "a", "test")


async def test_an_unknown_token_is_an_error(tmp_path: Path) -> None:
    signer = Signer()
    signer.answer = "unauthorized"
    async with serving(signer.handle) as url:
        source = write_bootstrap(tmp_path / "bootstrap.conf", url)
        with pytest.raises(Unauthorized):
            await ensure_credentials(tmp_path / "k.conf", source, tmp_path / "pki", "a", "test")
    with pytest.raises(SettingsError, match="no bootstrap-kubeconfig"):
        await ensure_credentials(tmp_path / "k.conf", None, tmp_path / "pki", "a", "test")


async def test_rotation_renews_before_the_end_and_the_client_follows(tmp_path: Path) -> None:
    signer = Signer()
    signer.life = timedelta(seconds=2)  # from five minutes ago on: renewal is due at once
    async with serving(signer.handle) as url:
        source = write_bootstrap(tmp_path / "bootstrap.conf", url)
        target = tmp_path / "kubelet.conf"
        await ensure_credentials(target, source, tmp_path / "pki", "a", "test")
        first = (tmp_path / "pki/kubelet-client-current.pem").read_bytes()
        async with ApiClient.from_kubeconfig(target) as client:
            rotation = asyncio.create_task(keep_fresh(client, target, tmp_path / "pki", "a"))
            signer.life = DAY
            async with asyncio.timeout(5):
                while len(signer.requests) < 2 or client.transport._config.cert_pem == first:
                    await asyncio.sleep(0.02)
            rotation.cancel()
            renewed = client.transport._config.cert_pem
            assert renewed == (tmp_path / "pki/kubelet-client-current.pem").read_bytes()
        # It was asked for as the node, not with the token.
        assert signer.tokens[-1] == ""


def test_validity_is_read_as_the_library_reads_it() -> None:
    pem = certificate(DAY)
    known = x509.load_pem_x509_certificate(pem)
    validity = validity_of(b"junk before\n" + pem + b"junk after")
    assert validity is not None
    assert validity.start == known.not_valid_before_utc.timestamp()
    assert validity.end == known.not_valid_after_utc.timestamp()
    far = certificate_pem(new_authority("x", DEFAULT_ALGORITHM, 36500 * DAY).certificate)
    late = validity_of(far)
    assert late is not None
    assert late.end > time.time() + 36000 * 86400  # GeneralizedTime
    assert validity_of(b"") is None
    cut = pem[: len(pem) // 2] + b"\n-----END CERTIFICATE-----\n"
    assert validity_of(cut) is None


def test_renewal_lies_between_seven_and_nine_tenths() -> None:
    validity = Validity(1000.0, 2000.0)
    moments = {validity.renewal() for _ in range(200)}
    assert min(moments) >= 1700
    assert max(moments) <= 1900
    assert max(moments) - min(moments) > 100  # jittered


def test_only_a_few_old_certificates_are_kept(tmp_path: Path) -> None:
    pair = Pair(tmp_path, CLIENT)
    for number in range(5):
        (tmp_path / f"kubelet-client-2025-01-0{number + 1}-00-00-00.pem").write_text("old")
    stored = pair.store(certificate(DAY), b"key\n")
    files = sorted(p.name for p in tmp_path.glob("kubelet-client-2*.pem"))
    assert len(files) == 3
    assert files[-1] == stored.name
    assert pair.current.resolve() == stored.resolve()


def test_an_expired_certificate_is_no_credential(tmp_path: Path) -> None:
    pair = Pair(tmp_path, CLIENT)
    old = issue(AUTHORITY, Subject("n"), DEFAULT_ALGORITHM, DAY, datetime.now(UTC) - 3 * DAY)
    from kubeinstall.kubelet.bootstrap_kubeconfig import write_kubeconfig
    from kubeinstall.pki.keys import key_pem

    pair.store(certificate_pem(old.certificate), key_pem(old.key))
    source = write_bootstrap(tmp_path / "bootstrap.conf", "https://127.0.0.1:1")
    write_kubeconfig(tmp_path / "kubelet.conf", source, pair.current)
    assert not credentials_valid(tmp_path / "kubelet.conf")
    assert not credentials_valid(tmp_path / "absent.conf")
