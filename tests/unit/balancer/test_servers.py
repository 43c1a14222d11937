"""kube-servers: which API servers, haproxy's file, its reload, and the component against a small API."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from kubeinstall.balancer import haproxy
from kubeinstall.balancer.servers import Servers, published

A, B, C = "10.0.0.1:6443", "10.0.0.2:6443", "[fd00::3]:6443"


def test_the_file_is_read_as_it_was_written() -> None:
    servers = {haproxy.server_name(address): address for address in (A, C)}
    assert servers == {"api-10.0.0.1": A, "api-fd00--3": C}
    text = haproxy.render("127.0.0.1:6445", servers)
    assert "bind 127.0.0.1:6445" in text
    assert haproxy.servers_in(text) == servers
    assert haproxy.servers_in("something else") == {}


def test_endpoints_that_are_ready_are_servers() -> None:
    piece = {
        "ports": [{"name": "https", "port": 6443}],
        "endpoints": [
            {"addresses": ["10.0.0.1"], "conditions": {"ready": True}},
            {"addresses": ["10.0.0.2"]},
            {"addresses": ["10.0.0.9"], "conditions": {"ready": False}},
        ],
    }
    six = {"ports": [{"port": 6443}], "endpoints": [{"addresses": ["fd00::3"]}]}
    assert published([piece, six]) == {A, B, C}


def test_a_new_server_is_taken_at_once_and_one_that_went_after_a_while() -> None:
    servers = Servers({"first": A}, keep=600, now=0)
    assert servers.update({A, B}, 10) == {"first": A, "api-10.0.0.2": B}
    assert servers.next_look(10) is None
    assert set(servers.update({B}, 20).values()) == {A, B}
    assert servers.next_look(20) == pytest.approx(591)
    assert set(servers.update({B}, 611).values()) == {B}


def test_nothing_published_is_not_believed() -> None:
    servers = Servers({"first": A}, keep=600, now=0)
    assert servers.update(set(), 10_000) == {"first": A}


@pytest.fixture
def process(tmp_path: Path) -> Callable[[int, int, str], None]:
    def add(pid: int, parent: int, *words: str) -> None:
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "cmdline").write_text("\0".join(words) + "\0")
        (folder / "stat").write_text(f"{pid} (haproxy (x) y) S {parent} 1 1")

    return add


def test_only_the_master_of_our_file_is_told(
    tmp_path: Path, process: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: told.append((pid, number)))
    config = tmp_path / "haproxy.cfg"
    assert not haproxy.reload(config, tmp_path)
    process(7, 1, haproxy.BINARY, "-Ws", "-f", str(config))
    process(8, 7, haproxy.BINARY, "-sf", "6", "-Ws", "-f", str(config))
    process(9, 1, haproxy.BINARY, "-Ws", "-f", "/etc/haproxy/haproxy.cfg")
    assert haproxy.reload(config, tmp_path)
    assert told == [(7, signal.SIGUSR2)]
