"""Who gets in, and as whom."""

from __future__ import annotations

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path

import aiohttp

from kubeinstall.pki.certificates import Subject, certificate_pem, issue, new_authority
from kubeinstall.pki.keys import DEFAULT_ALGORITHM, key_pem
from tests.apiserver.conftest import Http
from tests.support.apiserver import RunningServer

REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


async def _get(
    server: RunningServer, tls: ssl.SSLContext, path: str, **headers: str
) -> tuple[int, dict[str, object]]:
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session,
        session.get(server.url + path, headers=headers) as answer,
    ):
        status, body = answer.status, await answer.json()
    await asyncio.sleep(0.05)
    return status, body


def _trusting(server: RunningServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.directory / "pki/ca.crt"))


async def test_a_certificate_of_an_unknown_ca_is_unauthorized(
    api_server: RunningServer, tmp_path: Path
) -> None:
    issued = issue(
        new_authority("strangers", DEFAULT_ALGORITHM, timedelta(days=1)),
        Subject("kubernetes-admin", ("system:masters",)),
        DEFAULT_ALGORITHM,
        timedelta(days=1),
    )
    pair = tmp_path / "pair.pem"
    pair.write_bytes(certificate_pem(issued.certificate) + key_pem(issued.key))
    tls = _trusting(api_server)
    tls.load_cert_chain(pair)
    status, body = await _get(api_server, tls, "/api/v1/pods")
    assert (status, body["reason"]) == (401, "Unauthorized")


async def test_nobody_sees_versions_and_health_only(api_server: RunningServer) -> None:
    tls = _trusting(api_server)
    status, body = await _get(api_server, tls, "/version")
    assert (status, body["minor"]) == (200, "36")
    status, body = await _get(api_server, tls, "/api/v1/secrets")
    assert status == 403
    assert 'User "system:anonymous" cannot list resource "secrets"' in str(body["message"])


async def test_a_wrong_token_is_unauthorized(api_server: RunningServer) -> None:
    status, body = await _get(
        api_server, _trusting(api_server), "/version", Authorization="Bearer nope"
    )
    assert (status, body["code"]) == (401, 401)


async def test_impersonation(http: Http) -> None:
    answer = await http("POST", REVIEW, {}, Impersonate_User="jane", Impersonate_Group="devs")
    assert answer.status == 201, answer.body
    user = answer.body["status"]["userInfo"]
    assert (user["username"], user["groups"]) == ("jane", ["devs", "system:authenticated"])
    # The connection's certificate still speaks for whoever asks next.
    mine = (await http("POST", REVIEW, {})).body["status"]["userInfo"]
    assert mine["username"] == "kubernetes-super-admin"


async def test_health_by_check(http: Http) -> None:
    assert (await http("GET", "/readyz/etcd")).body == "ok"
    assert (await http("GET", "/livez?verbose")).body.endswith("livez check passed\n")
    assert (await http("GET", "/readyz/nope")).status == 404


async def test_metrics_have_upstreams_names(http: Http) -> None:
    await http.create_configmap("a")
    text = (await http("GET", "/metrics")).body
    assert 'apiserver_request_total{code="201",dry_run="",group="",resource="configmaps"' in text
    assert 'apiserver_storage_objects{resource="configmaps"}' in text


async def test_clients_cannot_invent_labels(http: Http) -> None:
    await http("GET", "/api/v1/namespaces/NS/pods/p/invented")
    await http("PROPFIND", "/invented")
    await http("GET", "/apis/invented/v1/things/x")
    text = (await http("GET", "/metrics")).body
    assert "invented" not in text
    assert "PROPFIND" not in text
    assert 'verb="other"' in text
