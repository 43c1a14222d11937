from __future__ import annotations

import pytest

from kubeinstall.apiserver.proxy import websocket
from kubeinstall.errors import BadRequest


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (3, b"\x82\x03"),
        (126, b"\x82\x7e\x00\x7e"),
        (65536, b"\x82\x7f" + (65536).to_bytes(8, "big")),
    ],
)
def test_lengths_of_frames(size: int, head: bytes) -> None:
    made = websocket.frame(0x82, b"x" * size)
    assert made == head + b"x" * size


def test_the_first_known_protocol_is_taken() -> None:
    assert websocket._choose("") == ""
    assert websocket._choose("other, base64.binary.k8s.io, binary.k8s.io") == "base64.binary.k8s.io"
    with pytest.raises(BadRequest):
        websocket._choose("other")


def test_the_handshake_of_the_rfc() -> None:
    head = websocket._head("dGhlIHNhbXBsZSBub25jZQ==", "binary.k8s.io")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
    assert b"Sec-WebSocket-Protocol: binary.k8s.io\r\n\r\n" in head
