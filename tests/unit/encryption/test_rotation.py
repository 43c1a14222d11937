"""Configurations on their way from key to key."""

from __future__ import annotations

from typing import Any

import pytest

from kubeinstall.errors import SettingsError
from kubeinstall.storage.encryption import new_configuration, parse_configuration
from kubeinstall.storage.encryption.rotation import add_key, drop_keys, keys, promote_key


def order(document: dict[str, Any]) -> list[tuple[str, str]]:
    parse_configuration(document, "test")
    return keys(document["resources"][0])


def test_a_rotation_and_the_next() -> None:
    document = new_configuration()
    for old, new in ((1, 2), (2, 3)):
        before, after = ("secretbox", f"key{old}"), ("secretbox", f"key{new}")
        document = add_key(document)
        assert order(document) == [before, after, ("identity", "")]
        assert add_key(document) == document, "an interrupted rotation made a second key"
        document = promote_key(document)
        assert order(document) == [after, before, ("identity", "")]
        assert promote_key(document) == document
        document = drop_keys(document)
        assert order(document) == [after, ("identity", "")]


def test_another_provider_moves_to_secretbox() -> None:
    document = new_configuration()
    secret = document["resources"][0]["providers"][0]["secretbox"]["keys"][0]
    document["resources"][0]["providers"][0] = {"aescbc": {"keys": [secret]}}
    document = promote_key(add_key(document))
    assert order(document) == [("secretbox", "key2"), ("aescbc", "key1"), ("identity", "")]
    assert order(drop_keys(document)) == [("secretbox", "key2"), ("identity", "")]


def test_keys_in_use_are_kept_by_value() -> None:
    document = new_configuration()
    secret = document["resources"][0]["providers"][0]["secretbox"]["keys"][0]
    assert add_key(document)["resources"][0]["providers"][0]["secretbox"]["keys"][0] == secret
    assert document == {**document}, "the argument was changed"


def test_nothing_encrypted_has_nothing_to_rotate() -> None:
    document = new_configuration()
    document["resources"][0]["providers"] = [{"identity": {}}]
    with pytest.raises(SettingsError, match="no resource is encrypted"):
        add_key(document)
