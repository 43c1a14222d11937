"""The balancer of the last host of a cluster, whose others were taken off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubeinstall.ansible import balancer, stages

ALONE: dict[str, Any] = {"host": {"balancer": "", "servers": {"a": "192.0.2.1:6443"}}}


def test_it_stays_where_the_hosts_processes_look_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balancer, "CONFIG", tmp_path / "haproxy.cfg")
    assert stages.with_balancer(ALONE)["host"]["balancer"] == ""
    written = balancer.configuration("https://127.0.0.1:6499", ALONE["host"]["servers"])
    balancer.CONFIG.write_text(written)
    assert stages.with_balancer(ALONE)["host"]["balancer"] == "https://127.0.0.1:6499"
    assert ALONE["host"]["balancer"] == ""


def test_a_configured_port_counts_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balancer, "CONFIG", tmp_path / "haproxy.cfg")
    balancer.CONFIG.write_text(balancer.configuration("https://127.0.0.1:6499", {}))
    config = {"host": {"balancer": "https://127.0.0.1:6445"}}
    assert stages.with_balancer(config) == config
