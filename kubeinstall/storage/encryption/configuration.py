"""EncryptionConfiguration (apiserver.config.k8s.io/v1): which resources are encrypted, with which keys.

The first entry of `resources` that names a resource counts. `*.apps` is every resource of a group, `*.` of the core
group, `*.*` everything. Without an entry, values are plain.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubeinstall.errors import SettingsError
from kubeinstall.storage.encryption.ciphers import PROVIDERS
from kubeinstall.storage.encryption.transformer import Key, Transformer

Object = dict[str, Any]

API_VERSION = "apiserver.config.k8s.io/v1"
KIND = "EncryptionConfiguration"
#: What `new_configuration` encrypts.
DEFAULT_RESOURCES = ("secrets",)
_KEY_BYTES = 32


@dataclass(frozen=True)
class Rule:
    """Resources that share their keys. `resources` are "secrets", "widgets.example.com", "*.apps", "*.", "*.*"."""

    resources: tuple[str, ...]
    transformer: Transformer

    def covers(self, group: str, plural: str) -> bool:
        """Whether the rule is about this resource (core group: "")."""
        exact = f"{plural}.{group}" if group else plural
        return bool({exact, f"*.{group}", "*.*"} & set(self.resources))


@dataclass(frozen=True)
class EncryptionConfiguration:
    """The rules, in order."""

    rules: tuple[Rule, ...]

    def transformer(self, group: str, plural: str) -> Transformer | None:
        """How values of this resource are stored; None: as they are."""
        return next((rule.transformer for rule in self.rules if rule.covers(group, plural)), None)


def read_configuration(path: Path) -> EncryptionConfiguration:
    """The file's content; SettingsError tells what is wrong, without showing a key."""
    import yaml

    try:
        document = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise SettingsError(f"encryption-provider-config: {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # A YAML error quotes the line, which may be a key.
        raise SettingsError(f"encryption-provider-config: {path}: is not YAML") from error
    return parse_configuration(document, f"encryption-provider-config: {path}")


def parse_configuration(document: Any, source: str) -> EncryptionConfiguration:
    """The rules of a decoded document; `source` begins every error."""
    if not isinstance(document, dict):
        raise SettingsError(f"{source}: must be an {KIND}")
    if (document.get("apiVersion"), document.get("kind")) != (API_VERSION, KIND):
        raise SettingsError(f"{source}: must have apiVersion {API_VERSION} and kind {KIND}")
    _only(document, {"apiVersion", "kind", "resources"}, source)
    entries = _list(document, "resources", source)
    seen: set[str] = set()
    rules = []
    for index, entry in enumerate(entries):
        at = f"{source}: resources[{index}]"
        if not isinstance(entry, dict):
            raise SettingsError(f"{at}: must be an object")
        _only(entry, {"resources", "providers"}, at)
        names = tuple(_resource(name, seen, at) for name in _list(entry, "resources", at))
        rules.append(Rule(names, Transformer(tuple(_keys(entry, at)))))
    return EncryptionConfiguration(tuple(rules))


def new_configuration(resources: tuple[str, ...] = DEFAULT_RESOURCES) -> Object:
    """A document with one random secretbox key; values written before it stay readable."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "resources": [
            {
                "resources": list(resources),
                "providers": [{"secretbox": {"keys": [new_key("key1")]}}, {"identity": {}}],
            }
        ],
    }


def new_key(name: str) -> dict[str, str]:
    """An entry for `keys`, random."""
    return {"name": name, "secret": base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()}


def _resource(name: Any, seen: set[str], at: str) -> str:
    if not isinstance(name, str) or not name:
        raise SettingsError(
            f"{at}: resources: must be names such as secrets or widgets.example.com"
        )
    plural, dot, group = name.partition(".")
    if (
        name == "*"
        or ("*" in plural and (plural != "*" or not dot))
        or group.startswith("*.")
        or ("*" in group and name != "*.*")
    ):
        raise SettingsError(
            f'{at}: resources: "{name}": use "*.<group>" for a group, "*." for the core group, "*.*" for all'
        )
    if group == "extensions":
        raise SettingsError(
            f'{at}: resources: "{name}": the group extensions is gone and cannot be encrypted'
        )
    if plural == "events" and group == "events.k8s.io":
        raise SettingsError(f'{at}: resources: events are stored in the core group; write "events"')
    if name in seen:
        raise SettingsError(f'{at}: resources: "{name}" is named twice')
    seen.add(name)
    return name


def _keys(entry: Object, at: str) -> Iterator[Key]:
    names: set[bytes] = set()
    for index, provider in enumerate(_list(entry, "providers", at)):
        where = f"{at}: providers[{index}]"
        if not isinstance(provider, dict) or len(provider) != 1:
            raise SettingsError(
                f"{where}: must have exactly one of {', '.join(PROVIDERS)}, identity"
            )
        ((kind, body),) = provider.items()
        if kind == "identity":
            yield Key(b"")
            continue
        if kind not in PROVIDERS:
            raise SettingsError(
                f"{where}: there is no provider {kind!r} here; use {', '.join(PROVIDERS)} or identity"
            )
        where = f"{where}.{kind}"
        if not isinstance(body, dict):
            raise SettingsError(f"{where}: must have keys")
        _only(body, {"keys"}, where)
        for position, key in enumerate(_list(body, "keys", where)):
            made = _key(kind, key, f"{where}.keys[{position}]")
            if made.prefix in names:
                raise SettingsError(f"{where}.keys[{position}]: the name is used twice")
            names.add(made.prefix)
            yield made


def _key(kind: str, key: Any, at: str) -> Key:
    if not isinstance(key, dict):
        raise SettingsError(f"{at}: must have name and secret")
    _only(key, {"name", "secret"}, at)
    name, secret = key.get("name"), key.get("secret")
    if not isinstance(name, str) or not name or ":" in name:
        raise SettingsError(f"{at}: name: must be a text without colons")
    if not isinstance(secret, str) or not secret:
        raise SettingsError(f"{at}: secret: is required")
    try:
        material = base64.b64decode(secret, validate=True)
    except binascii.Error as error:
        raise SettingsError(f"{at}: secret: must be base64") from error
    cipher, sizes = PROVIDERS[kind]
    if len(material) not in sizes:
        allowed = " or ".join(str(size) for size in sizes)
        raise SettingsError(f"{at}: secret: has {len(material)} bytes, {kind} needs {allowed}")
    return Key(f"k8s:enc:{kind}:v1:{name}:".encode(), cipher(material))


def _list(document: Object, field: str, at: str) -> list[Any]:
    value = document.get(field)
    if not isinstance(value, list) or not value:
        raise SettingsError(f"{at}: {field}: must be a list with at least one entry")
    return value


def _only(document: Object, fields: set[str], at: str) -> None:
    unknown = sorted(str(field) for field in set(document) - fields)
    if unknown:
        raise SettingsError(f"{at}: unknown field {unknown[0]!r}")
