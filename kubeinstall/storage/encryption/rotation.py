"""Moving an EncryptionConfiguration from key to key: pure changes of the document.

add      [old]           → [old, new]     every API server can read the new key
promote  [old, new]      → [new, old]     and writes with it
drop     [new, old, …]   → [new]          once nothing is stored with the others
"""

from __future__ import annotations

import copy
import re
from typing import Any

from kubeinstall.errors import SettingsError
from kubeinstall.storage.encryption.ciphers import PROVIDERS
from kubeinstall.storage.encryption.configuration import new_key

Object = dict[str, Any]

_NUMBER = re.compile(r"(\d+)$")


def keys(entry: Object) -> list[tuple[str, str]]:
    """(provider, key name) of one entry of `resources`, in order; identity has no name."""
    found: list[tuple[str, str]] = []
    for provider in entry["providers"]:
        ((kind, body),) = provider.items()
        found += [(kind, "")] if kind == "identity" else [(kind, k["name"]) for k in body["keys"]]
    return found


def add_key(document: Object) -> Object:
    """A new random key behind the one that writes, in each entry that encrypts."""
    changed = copy.deepcopy(document)
    for entry in _entries(changed):
        provider, body = _first(entry)
        made = new_key(_next_name([name for _, name in keys(entry)]))
        if _pending(entry):
            continue  # an earlier run added it
        if provider != "secretbox":
            entry["providers"].insert(1, {"secretbox": {"keys": [made]}})
        else:
            body["keys"].insert(1, made)
    return changed


def promote_key(document: Object) -> Object:
    """The newest key first."""
    changed = copy.deepcopy(document)
    for entry in _entries(changed):
        newest = max(keys(entry), key=lambda item: number(item[1]))
        for provider in entry["providers"]:
            ((kind, body),) = provider.items()
            if kind == newest[0]:
                body["keys"].sort(key=lambda key: key["name"] != newest[1])
                entry["providers"].remove(provider)
                entry["providers"].insert(0, provider)
                break
    return changed


def drop_keys(document: Object) -> Object:
    """Only the key that writes; `identity` stays, for values that are not stored yet in any form."""
    changed = copy.deepcopy(document)
    for entry in _entries(changed):
        provider, body = _first(entry)
        entry["providers"] = [{provider: {"keys": body["keys"][:1]}}, {"identity": {}}]
    return changed


def _entries(document: Object) -> list[Object]:
    found = [entry for entry in document["resources"] if keys(entry)[0][0] in PROVIDERS]
    if not found:
        raise SettingsError(
            "no resource is encrypted: the first provider of each entry is identity"
        )
    return found


def _first(entry: Object) -> tuple[str, Object]:
    ((kind, body),) = entry["providers"][0].items()
    return kind, body


def _pending(entry: Object) -> bool:
    """Whether a key that is not first is newer than the first."""
    first, *others = (number(name) for _, name in keys(entry))
    return any(other > first for other in others)


def number(name: str) -> int:
    """What a key's name ends with; the newest has the highest."""
    found = _NUMBER.search(name)
    return int(found[1]) if found else 0


def _next_name(names: list[str]) -> str:
    return f"key{max(number(name) for name in names) + 1}"
