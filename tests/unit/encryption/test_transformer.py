"""Values against what is stored: layouts, several keys, key paths."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kubeinstall.errors import SettingsError, StoreError
from kubeinstall.storage.encryption import new_configuration, parse_configuration
from kubeinstall.storage.encryption.transformer import Transformer

PATH = "/registry/core/secrets/default/a"
VALUE = b'{"metadata":{"name":"a"},"data":{"password":"aHVudGVyMg=="}}'
PROVIDERS = ["secretbox", "aesgcm", "aescbc"]


def key(name: str, byte: int) -> dict[str, str]:
    return {"name": name, "secret": base64.b64encode(bytes([byte]) * 32).decode()}


def document(*providers: dict[str, Any], resources: list[str] | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": resources or ["secrets"], "providers": list(providers)}],
    }


def transformer(*providers: dict[str, Any]) -> Transformer:
    found = parse_configuration(document(*providers), "test").transformer("", "secrets")
    assert found is not None
    return found


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("value", [VALUE, b"", b"x" * 15, b"x" * 16, b"x" * 17])
def test_round_trip_under_upstreams_prefix(provider: str, value: bytes) -> None:
    work = transformer({provider: {"keys": [key("key1", 1)]}})
    stored = work.seal(value, PATH)
    assert stored.startswith(f"k8s:enc:{provider}:v1:key1:".encode())
    assert not value or value not in stored
    assert work.open(stored, PATH) == (value, False)
    assert work.seal(value, PATH) != stored, "a nonce was used twice"


@pytest.mark.parametrize("provider", ["secretbox", "aesgcm"])
def test_a_changed_byte_is_noticed(provider: str) -> None:
    work = transformer({provider: {"keys": [key("key1", 1)]}})
    stored = bytearray(work.seal(VALUE, PATH))
    stored[-20] ^= 1
    with pytest.raises(StoreError, match="does not authenticate"):
        work.open(bytes(stored), PATH)


def test_aesgcm_is_bound_to_the_key_path() -> None:
    work = transformer({"aesgcm": {"keys": [key("key1", 1)]}})
    stored = work.seal(VALUE, PATH)
    with pytest.raises(StoreError, match="does not authenticate"):
        work.open(stored, "/registry/core/secrets/default/b")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_older_key_reads_and_is_stale(provider: str) -> None:
    old = transformer({provider: {"keys": [key("key1", 1)]}})
    both = transformer({provider: {"keys": [key("key2", 2), key("key1", 1)]}})
    assert both.open(old.seal(VALUE, PATH), PATH) == (VALUE, True)
    assert both.open(both.seal(VALUE, PATH), PATH) == (VALUE, False)
    with pytest.raises(StoreError, match="lacks the key"):
        old.open(both.seal(VALUE, PATH), PATH)


def test_identity_reads_plain_values_only() -> None:
    work = transformer({"secretbox": {"keys": [key("key1", 1)]}}, {"identity": {}})
    assert work.open(VALUE, PATH) == (VALUE, True)
    plain = transformer({"identity": {}}, {"secretbox": {"keys": [key("key1", 1)]}})
    assert plain.writes_plain
    assert plain.seal(VALUE, PATH) == VALUE
    assert plain.open(work.seal(VALUE, PATH), PATH) == (VALUE, True)
    with pytest.raises(StoreError, match="no matching prefix"):
        transformer({"identity": {}}).open(work.seal(VALUE, PATH), PATH)


def test_a_plain_value_is_refused_without_identity() -> None:
    with pytest.raises(StoreError, match="no matching prefix"):
        transformer({"secretbox": {"keys": [key("key1", 1)]}}).open(VALUE, PATH)


@pytest.mark.parametrize(
    ("names", "group", "plural", "covered"),
    [
        (["secrets"], "", "secrets", True),
        (["secrets"], "example.com", "secrets", False),
        (["secrets"], "", "configmaps", False),
        (["widgets.example.com"], "example.com", "widgets", True),
        (["*.example.com"], "example.com", "widgets", True),
        (["*.example.com"], "", "secrets", False),
        (["*."], "", "configmaps", True),
        (["*."], "apps", "deployments", False),
        (["*.*"], "apps", "deployments", True),
    ],
)
def test_which_resources(names: list[str], group: str, plural: str, covered: bool) -> None:
    configuration = parse_configuration(document({"identity": {}}, resources=names), "test")
    assert (configuration.transformer(group, plural) is not None) is covered


def test_the_first_rule_counts() -> None:
    both = document({"identity": {}}, resources=["secrets"])
    both["resources"] += document({"aesgcm": {"keys": [key("k", 1)]}}, resources=["*.*"])[
        "resources"
    ]
    configuration = parse_configuration(both, "test")
    secrets, pods = configuration.transformer("", "secrets"), configuration.transformer("", "pods")
    assert secrets is not None
    assert pods is not None
    assert (secrets.writes_plain, pods.writes_plain) == (True, False)


SHORT = base64.b64encode(b"too short").decode()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "apiVersion"),
        (document(), "providers: must be a list"),
        (document({"kms": {"name": "x"}}), "no provider 'kms'"),
        (document({"secretbox": {"keys": []}}), "keys: must be a list"),
        (document({"secretbox": {"keys": [{"name": "a", "secret": SHORT}]}}), "9 bytes"),
        (document({"secretbox": {"keys": [{"name": "a", "secret": "%"}]}}), "base64"),
        (document({"secretbox": {"keys": [{"name": "a:b", "secret": SHORT}]}}), "colons"),
        (document({"aesgcm": {"keys": [key("a", 1), key("a", 2)]}}), "used twice"),
        (document({"identity": {}, "aesgcm": {}}), "exactly one"),
        (document({"identity": {}}, resources=["*"]), "core group"),
        (document({"identity": {}}, resources=["secrets", "secrets"]), "named twice"),
        (document({"identity": {}}, resources=["x.*.com"]), "for a group"),
    ],
)
def test_mistakes_are_told_by_place(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        parse_configuration(wrong, "file.yaml")
    assert "file.yaml" in str(caught.value)
    assert SHORT not in str(caught.value)


def test_a_new_configuration_is_valid_and_random() -> None:
    first, second = new_configuration(), new_configuration()
    assert first != second
    assert parse_configuration(first, "test").transformer("", "secrets") is not None
