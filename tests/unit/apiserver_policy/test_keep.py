"""What is deleted although everybody needs it comes back."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from kubeinstall.apiserver import hooks
from kubeinstall.apiserver.admission.chain import Chain
from kubeinstall.apiserver.authn.authenticator import Authenticator
from kubeinstall.apiserver.authn.tokens import ServiceAccountTokens
from kubeinstall.apiserver.authz import Authorizer
from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.bootstrap import cluster, ensure, keep
from kubeinstall.apiserver.config import ApiServerSettings
from kubeinstall.apiserver.interfaces import Services
from kubeinstall.apiserver.peers import advertised_address
from kubeinstall.errors import NotFound
from kubeinstall.storage.store import Store
from tests.unit.apiserver_policy.memory import MemoryRegistry, MemoryStore


def settings(**flags: str | int) -> ApiServerSettings:
    made = ApiServerSettings(tls_cert_file=Path("c"), tls_private_key_file=Path("k"))
    changed: dict[str, Any] = dict(flags)
    return replace(made, **changed)


async def test_namespaces_and_service_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        importlib.import_module("kubeinstall.apiserver.bootstrap.ensure"), "_KEEP_SECONDS", 0.01
    )
    registry = MemoryRegistry()
    flags = settings(advertise_address="10.0.0.5")
    tokens = ServiceAccountTokens(registry, issuers=["i"], audiences=["i"])
    services = Services(
        flags,
        registry,
        Authenticator(tokens=tokens),
        Authorizer(registry),
        Chain([]),
        hooks.build(flags, registry, cast("Store", MemoryStore())),
    )
    await ensure(services)
    service = registry.get(kind("services"), "kubernetes", "default")
    assert service["spec"]["clusterIP"] == "10.96.0.1"
    gone = (
        ("namespaces", "", "kube-node-lease"),
        ("services", "default", "kubernetes"),
    )
    for plural, namespace, name in gone:
        await registry.delete(kind(plural), namespace, name)
    keeper = asyncio.create_task(keep(services))
    try:
        for _ in range(200):
            await asyncio.sleep(0.01)
            with contextlib.suppress(NotFound):
                for plural, namespace, name in gone:
                    registry.get(kind(plural), name, namespace)
                break
        for plural, namespace, name in gone:
            registry.get(kind(plural), name, namespace)
    finally:
        keeper.cancel()


async def test_servers_on_different_ports_do_not_take_turns() -> None:
    registry = MemoryRegistry()
    await cluster.ensure_kubernetes_service(registry, settings(secure_port=6443), ports=False)
    before = registry.get(kind("services"), "kubernetes", "default")
    await cluster.ensure_kubernetes_service(registry, settings(secure_port=7443), ports=False)
    assert registry.get(kind("services"), "kubernetes", "default") == before
    await cluster.ensure_kubernetes_service(registry, settings(secure_port=7443))
    [port] = registry.get(kind("services"), "kubernetes", "default")["spec"]["ports"]
    assert port["targetPort"] == 7443


@pytest.mark.parametrize(
    ("flags", "address"),
    [
        ({"advertise_address": "10.0.0.5"}, "10.0.0.5"),
        ({"bind_address": "10.0.0.6"}, "10.0.0.6"),
        ({"advertise_address": "10.0.0.5", "bind_address": "10.0.0.6"}, "10.0.0.5"),
    ],
)
def test_advertised_address(flags: dict[str, str], address: str) -> None:
    assert advertised_address(settings(**flags)) == address
