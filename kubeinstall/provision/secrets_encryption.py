"""`kubeinstall secrets-encryption`: with which keys objects are stored, and moving them to a new one.

A rotation may be interrupted at any point and started again: what has been done is in the file and in the datastore.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from kubeinstall.ansible.encryption import HEADER
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.restarts import installed_settings, restart_changed
from kubeinstall.ansible.stages import NOTICED_SECONDS, others_serve, wait_own_server
from kubeinstall.errors import Conflict, KubeinstallError, NotFound
from kubeinstall.pki.files import write_atomic
from kubeinstall.provision.stored import datastore_url, sqlite_path, stored_values
from kubeinstall.storage.encryption import EncryptionConfiguration, read_configuration
from kubeinstall.storage.encryption.rotation import add_key, drop_keys, keys, promote_key
from kubeinstall.storage.encryption.transformer import MARK

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

Object = dict[str, Any]

_PARALLEL = 16
_FLAG = "encryption-provider-config"
_LONGEST_PREFIX = 512


@dataclass(frozen=True)
class Status:
    """`entries`: resources with their keys, first one writing. `stored`: how many values each key holds ("" is plain),
    of the resources in the file."""

    path: Path
    entries: list[tuple[list[str], list[tuple[str, str]]]]
    stored: dict[str, int]

    @property
    def writing(self) -> set[str]:
        """Names of the keys that write, as in `stored`."""
        return {label(*found[0]) for _, found in self.entries}

    @property
    def outdated(self) -> int:
        """How many values are not stored with a key that writes now."""
        return sum(count for name, count in self.stored.items() if name not in self.writing)


def label(provider: str, name: str) -> str:
    """ "secretbox/key1"; empty for identity."""
    return f"{provider}/{name}" if name else ""


def status() -> Status:
    """What the file says and what the datastore holds."""
    path = configuration_path()
    document = _read(path)
    configuration = read_configuration(path)
    stored: Counter[str] = Counter()
    for key, value in stored_values(datastore_url()):
        group, plural = key.split("/", 4)[2:4]
        if configuration.transformer("" if group == "core" else group, plural) is not None:
            stored[_label_of(value)] += 1
    entries = [(list(entry["resources"]), keys(entry)) for entry in document["resources"]]
    return Status(path, entries, dict(stored))


def configuration_path() -> Path:
    """The EncryptionConfiguration of this host's API server."""
    value = (installed_settings().get("kube-apiserver") or {}).get(_FLAG)
    if not value:
        raise KubeinstallError(f"the API server of this host runs without --{_FLAG}")
    return Path(str(value))


def rotate(kubeconfig: Path, say: Callable[[str], None]) -> None:
    """All of it, on a cluster with one API server: new key, rewrite, drop the old ones."""
    if sqlite_path(datastore_url()) is None:
        raise KubeinstallError(
            "the datastore is etcd, which other API servers may share: every one must know a key before the first "
            "writes with it. Where the inventory is: kubeinstall secrets-encryption rotate -i DIR"
        )
    step("add", say, restart=False)  # the only API server learns both at once
    step("promote", say)
    reencrypt(kubeconfig, say)
    step("drop", say)


def step(name: str, say: Callable[[str], None], *, restart: bool = True) -> None:
    """One step of a rotation: add, promote or drop."""
    path = configuration_path()
    before, text = path.read_text(), changed_text(name)
    if text != before:
        write_atomic(path, text.encode(), 0o600)
        say(f"{name}: {path} written")
    if restart:
        for change in restart_changed(["kube-apiserver"]).changes:
            say(f"{name}: {change}")


def changed_text(change: str) -> str:
    """The file as it is after a step (add, promote, drop, or carry: as it is now). Secret."""
    path = configuration_path()
    document = _read(path)
    if change == "carry":
        return path.read_text()
    if change == "drop":
        left = status().outdated
        if left:
            raise KubeinstallError(
                f"{left} values are still stored with another key; run 'kubeinstall secrets-encryption reencrypt' first"
            )
    changes = {"add": add_key, "promote": promote_key, "drop": drop_keys}
    changed = changes[change](document)
    return (
        path.read_text()
        if changed == document
        else HEADER + yaml.safe_dump(changed, sort_keys=False)
    )


def place(config: Object, text: str, *, check: bool) -> Outcome:
    """Have this file on a control plane of several, and its API server run with it.

    The others must serve before this one restarts. KubeinstallError with the file as it was when it does not come up.
    """
    path = configuration_path()
    before = path.read_text()
    outcome = Outcome(changes=[] if text == before else [f"write {path}"])
    if check:
        return outcome
    own = config["init"]["nodeRegistration"]["name"]
    write_atomic(path, text.encode(), 0o600)
    try:
        read_configuration(path)
        others = [name for name in config["host"]["servers"] if name != own]
        if restart_changed(["kube-apiserver"], check=True).changed:
            others_serve(config, others)
            outcome.extend(restart_changed(["kube-apiserver"]))
            wait_own_server()
            time.sleep(NOTICED_SECONDS if others else 0)
    except KubeinstallError:
        write_atomic(path, before.encode(), 0o600)
        raise
    return outcome


def fingerprints() -> list[Object]:
    """`resources` and `keys` (provider, name, fingerprint) of each entry of the file: says nothing of a key itself."""
    found: list[Object] = []
    for entry in _read(configuration_path())["resources"]:
        made: list[tuple[str, str, str]] = []
        for provider in entry["providers"]:
            ((kind, body),) = provider.items()
            given = (body or {}).get("keys") or [{"name": "", "secret": ""}]
            made += [(kind, key["name"], _fingerprint(key["secret"])) for key in given]
        found.append({"resources": list(entry["resources"]), "keys": made})
    return found


def _fingerprint(secret: str) -> str:
    return hashlib.sha256(f"kubeinstall key {secret}".encode()).hexdigest()[:16]


def reencrypt(kubeconfig: Path, say: Callable[[str], None]) -> int:
    """Write every object of the configured resources again, and see in the datastore that none is left behind."""
    count = asyncio.run(_rewrite(kubeconfig, read_configuration(configuration_path())))
    left = status().outdated
    if left:
        raise KubeinstallError(
            f"{left} values are still stored with another key after {count} objects were written; run it again"
        )
    say(f"reencrypt: {count} objects are stored with the current key")
    return count


async def _rewrite(kubeconfig: Path, configuration: EncryptionConfiguration) -> int:
    from kubeinstall.client.client import ApiClient

    gate = asyncio.Semaphore(_PARALLEL)

    async def one(client: ApiClient, gvr: str, item: Object) -> None:
        async with gate:
            try:
                await client.update(gvr, item)
            except (Conflict, NotFound):
                return  # somebody wrote it at this moment, with the current key, or it is gone

    async with ApiClient.from_kubeconfig(kubeconfig, user_agent="kubeinstall") as client:
        count = 0
        for gvr in await _resources(client, configuration):
            items = (await client.list(gvr))["items"]
            await asyncio.gather(*(one(client, gvr, item) for item in items))
            count += len(items)
        return count


async def _resources(client: ApiClient, configuration: EncryptionConfiguration) -> list[str]:
    from kubeinstall.api.resources import builtin

    found: dict[tuple[str, str], str] = {}
    for resource in builtin():
        stored = configuration.transformer(resource.group, resource.name) is not None
        if stored and {"list", "update"} <= set(resource.verbs):
            found.setdefault((resource.group, resource.name), _gvr(resource))
    definitions = await client.list("apiextensions.k8s.io/v1/customresourcedefinitions")
    for item in definitions["items"]:
        spec = item["spec"]
        group, plural = spec["group"], spec["names"]["plural"]
        if configuration.transformer(group, plural) is not None:
            version = next(v["name"] for v in spec["versions"] if v["storage"])
            found[group, plural] = f"{group}/{version}/{plural}"
    return list(found.values())


def _gvr(resource: Any) -> str:
    return f"{resource.api_version}/{resource.name}"


def _label_of(value: bytes) -> str:
    if not value.startswith(MARK):
        return ""
    parts = value[:_LONGEST_PREFIX].split(b":", 5)
    return label(parts[2].decode(errors="replace"), parts[4].decode(errors="replace"))


def _read(path: Path) -> Object:
    read_configuration(path)  # says what is wrong, if anything is
    document: Object = yaml.safe_load(path.read_text())
    return document
