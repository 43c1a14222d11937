from __future__ import annotations

import base64
import json

import pytest

from kubeinstall.apiserver import continuation
from kubeinstall.errors import BadRequest


def token(**fields: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=").decode()


def test_a_token_comes_back_as_it_was() -> None:
    assert continuation.decode(continuation.encode(7, "ns/name")) == (7, "ns/name\0")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("zzz", "invalid character 'Ï' looking for beginning of value"),
        ("a?b", "illegal base64 data at input byte 1"),
        ("abcde", "illegal base64 data at input byte 4"),
        (token(v="v9", rv=1, start="a"), 'server does not recognize this encoded version "v9"'),
        (token(v="meta.k8s.io/v1", rv=1), "encoded start key empty"),
        (token(v="meta.k8s.io/v1", rv=1, start="../../secrets/x"), "../../secrets/x"),
    ],
)
def test_a_wrong_token_is_told_in_upstreams_words(text: str, why: str) -> None:
    with pytest.raises(BadRequest) as raised:
        continuation.decode(text)
    assert raised.value.message.startswith("invalid continue token: continue key is not valid: ")
    assert why in raised.value.message
