from __future__ import annotations

from typing import Any

import pytest

from kubeinstall.apiserver.proxy.pods import container_of
from kubeinstall.apiserver.proxy.tunnel import _unchunk
from kubeinstall.apiserver.proxy.web import split_name
from kubeinstall.errors import BadRequest


def test_chunks_are_put_together() -> None:
    assert _unchunk(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n") == b"abcde"


def test_names_with_scheme_and_port() -> None:
    assert split_name("p", "pods") == ("", "p", "")
    assert split_name("p:80", "pods") == ("", "p", "80")
    assert split_name("https:p:443", "pods") == ("https", "p", "443")
    with pytest.raises(BadRequest, match='invalid pod request "ftp:p:1"'):
        split_name("ftp:p:1", "pods")


def test_the_container_of_a_stream() -> None:
    pod: dict[str, Any] = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "a"}], "initContainers": [{"name": "i"}]},
    }
    assert container_of(pod, "") == "a"
    assert container_of(pod, "i") == "i"
    pod["spec"]["containers"].append({"name": "b"})
    with pytest.raises(BadRequest, match=r"choose one of: \[i a b\]"):
        container_of(pod, "")
