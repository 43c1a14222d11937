"""What an API server makes at its start, while another one starts too."""

from __future__ import annotations

from typing import Any, cast

import pytest

from kubeinstall.apiserver.authz.kinds import kind
from kubeinstall.apiserver.bootstrap import cluster
from kubeinstall.apiserver.registry import Registry
from kubeinstall.errors import FieldError, Invalid, NotFound

SERVICE = {"metadata": {"name": "kubernetes", "namespace": "default"}, "spec": {"ports": [1]}}


class Elsewhere:
    """A registry whose Service another server makes: its address is taken at once, it is there after `looks` looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.updated: list[str] = []

    def get(self, resource: object, name: str, namespace: str) -> dict[str, Any]:
        self.looks -= 1
        if self.looks >= 0:
            raise NotFound(f"{namespace}/{name}")
        return {**SERVICE, "spec": {"ports": [2]}}

    async def create(self, resource: object, obj: object) -> None:
        taken = FieldError(
            "FieldValueInvalid", "spec.clusterIPs", "provided IP is already allocated"
        )
        raise Invalid("", "Service", "kubernetes", [taken])

    async def update(self, resource: object, namespace: str, name: str, change: object) -> None:
        self.updated.append(name)


async def ensure(registry: Elsewhere) -> None:
    await cluster.ensure(
        cast("Registry", registry), kind("services"), SERVICE, lambda current: current
    )


async def test_what_another_server_is_making_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_TRY_SECONDS", 0)
    registry = Elsewhere(looks=3)
    await ensure(registry)
    assert registry.updated == ["kubernetes"]


async def test_an_address_that_stays_taken_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_TRY_SECONDS", 0)
    with pytest.raises(Invalid, match="already allocated"):
        await ensure(Elsewhere(looks=1000))
