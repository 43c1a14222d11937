"""What configMap, secret, downwardAPI and projected volumes show."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubeinstall.api.types import Object
from kubeinstall.errors import KubeinstallError, NotFound
from kubeinstall.kubelet.pod import spec
from kubeinstall.kubelet.tokens import DEFAULT_EXPIRATION, Tokens
from kubeinstall.kubelet.translate.fields import pod_field, resource_field
from kubeinstall.kubelet.volumes.atomic import Entry

DEFAULT_MODE = 0o644
_SECRET_MODE = 0o600


class PayloadProblem(KubeinstallError):
    """The volume's content cannot be made; becomes a FailedMount event."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where content comes from."""

    fetch: Callable[[str, str, str], Awaitable[Object]]
    bundles: Callable[[Object], Awaitable[list[Object]]]
    tokens: Tokens
    allocatable: Mapping[str, str]


async def make_payload(pod: Object, volume: Object, sources: Sources) -> dict[str, Entry]:
    """Relative path → file of one volume; raises `PayloadProblem`."""
    if volume.get("configMap") is not None:
        source = volume["configMap"]
        return await _from_object(
            pod, source, source["name"], "v1/configmaps", _mode(source), sources
        )
    if volume.get("secret") is not None:
        source = volume["secret"]
        name = source.get("secretName") or source.get("name")
        return await _from_object(pod, source, name, "v1/secrets", _mode(source), sources)
    if volume.get("downwardAPI") is not None:
        return _downward(pod, volume["downwardAPI"], _mode(volume["downwardAPI"]), sources)
    return await _projected(pod, volume["projected"], sources)


def _mode(source: Object) -> int:
    mode = source.get("defaultMode")
    return DEFAULT_MODE if mode is None else int(mode)


async def _projected(pod: Object, projected: Object, sources: Sources) -> dict[str, Entry]:
    mode = _mode(projected)
    made: dict[str, Entry] = {}
    for source in projected.get("sources") or []:
        if source.get("configMap"):
            part = source["configMap"]
            made |= await _from_object(pod, part, part["name"], "v1/configmaps", mode, sources)
        elif source.get("secret"):
            part = source["secret"]
            made |= await _from_object(pod, part, part["name"], "v1/secrets", mode, sources)
        elif source.get("downwardAPI"):
            made |= _downward(pod, source["downwardAPI"], mode, sources)
        elif source.get("serviceAccountToken"):
            made |= await _token(pod, source["serviceAccountToken"], mode, sources)
        elif source.get("clusterTrustBundle"):
            made |= await _bundle(source["clusterTrustBundle"], mode, sources)
    return made


async def _from_object(
    pod: Object, source: Object, name: str, resource: str, mode: int, sources: Sources
) -> dict[str, Entry]:
    optional = bool(source.get("optional"))
    try:
        found = await sources.fetch(resource, spec.namespace(pod), name)
    except NotFound as error:
        if optional:
            return {}
        raise PayloadProblem(error.message) from error
    data = _data(resource, found)
    items = source.get("items")
    if not items:
        return {key: Entry(value, mode) for key, value in data.items()}
    made = {}
    for item in items:
        if item["key"] not in data:
            if optional:
                continue
            kind = "config" if resource == "v1/configmaps" else "secret"
            raise PayloadProblem(f"references non-existent {kind} key: {item['key']}")
        made[item["path"]] = Entry(data[item["key"]], _item_mode(item, mode))
    return made


def _item_mode(item: Object, mode: int) -> int:
    return mode if item.get("mode") is None else int(item["mode"])


def _data(resource: str, found: Object) -> dict[str, bytes]:
    if resource == "v1/secrets":
        return {k: base64.b64decode(v) for k, v in (found.get("data") or {}).items()}
    data = {k: str(v).encode() for k, v in (found.get("data") or {}).items()}
    data |= {k: base64.b64decode(v) for k, v in (found.get("binaryData") or {}).items()}
    return data


def _downward(pod: Object, source: Object, mode: int, sources: Sources) -> dict[str, Entry]:
    made = {}
    for item in source.get("items") or []:
        if item.get("fieldRef"):
            text = pod_field(pod, item["fieldRef"]["fieldPath"])
        else:
            text = resource_field(pod, item["resourceFieldRef"], None, sources.allocatable)
        made[item["path"]] = Entry(text.encode(), _item_mode(item, mode))
    return made


async def _token(pod: Object, source: Object, mode: int, sources: Sources) -> dict[str, Entry]:
    seconds = int(source.get("expirationSeconds") or DEFAULT_EXPIRATION)
    token = await sources.tokens.get(pod, source.get("audience") or "", seconds)
    owner = common_user(pod)
    group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
    # A token that belongs to one user or group is for nobody else.
    if owner is not None or group is not None:
        mode = _SECRET_MODE
    return {source["path"]: Entry(token.encode(), mode, owner)}


async def _bundle(source: Object, mode: int, sources: Sources) -> dict[str, Entry]:
    bundles = await sources.bundles(source)
    if not bundles and not source.get("optional"):
        wanted: Any = source.get("name") or source.get("signerName")
        raise PayloadProblem(f'clustertrustbundle "{wanted}" not found')
    texts = sorted({str(bundle["spec"]["trustBundle"]).strip() + "\n" for bundle in bundles})
    return {source["path"]: Entry("".join(texts).encode(), mode)}


def common_user(pod: Object) -> int | None:
    """The user that all containers run as, where the spec gives them one and the same."""
    of_pod = (pod["spec"].get("securityContext") or {}).get("runAsUser")
    users = {
        (container.get("securityContext") or {}).get("runAsUser", of_pod)
        for container in spec.all_containers(pod)
    }
    if len(users) != 1:
        return None
    (user,) = users
    return None if user is None else int(user)
