"""The network namespaces that the tests of this folder share."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from shutil import which

import pytest

from tests.network.world import World
from tests.support.apiserver import api_server

__all__ = ["api_server", "world"]


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """A node, pods and a client; servers listen on port 8080 in the pods (named a, b, c)."""
    if os.geteuid() != 0:
        pytest.skip("needs root to make network namespaces")
    if which("ip") is None:
        pytest.skip("needs iproute2")
    try:
        ctypes.CDLL("libnftables.so.1")
    except OSError:
        pytest.skip("needs the package libnftables1")
    made = World()
    try:
        made.open()
        for letter, namespace in zip("abc", made.pod_names, strict=True):
            made.serve(namespace, letter, 8080)
        yield made
    finally:
        made.close()
