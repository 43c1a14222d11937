"""Having API objects as they are described: created when missing, patched where they differ.

A description is partial: fields it does not name are left alone, so that defaults, statuses and
what other people set cause no change.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.services import last_words, restarts
from kubeinstall.errors import AlreadyExists, KubeinstallError, NotFound, StatusError

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

Object = dict[str, Any]

MANAGER = "kubeinstall"
_LOOK_SECONDS = 2.0
_TOO_MANY_RESTARTS = 4
_PLURALS = {
    "Role": "rbac.authorization.k8s.io/v1/roles",
    "RoleBinding": "rbac.authorization.k8s.io/v1/rolebindings",
    "ClusterRole": "rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1/clusterrolebindings",
    "ConfigMap": "v1/configmaps",
    "Secret": "v1/secrets",
    "Service": "v1/services",
    "ServiceAccount": "v1/serviceaccounts",
    "Namespace": "v1/namespaces",
    "Node": "v1/nodes",
}


def with_client(
    kubeconfig: Path, work: Callable[[ApiClient], Awaitable[Outcome]], seconds: float
) -> Outcome:
    """Run `work` with a client, once the API server is ready; KubeinstallError after `seconds`."""
    from kubeinstall.client.client import ApiClient

    async def main() -> Outcome:
        async with ApiClient.from_kubeconfig(kubeconfig, user_agent=MANAGER) as client:
            await wait_for_server(client, seconds)
            return await work(client)

    return asyncio.run(main())


async def wait_for_server(client: ApiClient, seconds: float) -> None:
    """Return when `/readyz` says ok. A server that keeps ending is not waited for."""
    started = time.monotonic()
    looked = started
    while True:
        try:
            await client.request("GET", "/readyz", accept="*/*", timeout=5)
        except (StatusError, OSError) as error:
            now = time.monotonic()
            if now - started > seconds:
                raise KubeinstallError(
                    f"the API server is not ready after {seconds:.0f} s: {error}\n"
                    + last_words("kube-apiserver")
                ) from error
            if now - looked > _LOOK_SECONDS:
                looked = now
                if restarts("kube-apiserver") >= _TOO_MANY_RESTARTS:
                    message = "the API server ends as soon as it starts\n"
                    raise KubeinstallError(message + last_words("kube-apiserver")) from error
            await asyncio.sleep(0.05)
        else:
            return


async def ensure_objects(client: ApiClient, objects: Sequence[Object], *, check: bool) -> Outcome:
    """Make each object so; they are independent, so all are looked at together."""
    outcome = Outcome()
    results = await asyncio.gather(*(_ensure(client, obj, check=check) for obj in objects))
    for result in results:
        outcome.extend(result)
    return outcome


async def _ensure(client: ApiClient, wanted: Object, *, check: bool) -> Outcome:
    outcome = Outcome()
    gvr, meta = _PLURALS[wanted["kind"]], wanted["metadata"]
    name, namespace = meta["name"], meta.get("namespace")
    try:
        current = await client.get(gvr, name, namespace)
    except NotFound:
        outcome.add(f"create {title(wanted)}")
        if not check:
            try:
                await client.create(gvr, wanted, field_manager=MANAGER)
            except AlreadyExists:
                current = await client.get(gvr, name, namespace)
                outcome.extend(await _patch(client, wanted, current, check=check))
        return outcome
    outcome.extend(await _patch(client, wanted, current, check=check))
    return outcome


async def _patch(client: ApiClient, wanted: Object, current: Object, *, check: bool) -> Outcome:
    outcome = Outcome()
    patch = difference(wanted, current)
    if patch:
        outcome.add(f"update {title(wanted)}")
        if not check:
            meta = wanted["metadata"]
            await client.patch(
                _PLURALS[wanted["kind"]],
                meta["name"],
                patch,
                meta.get("namespace"),
                field_manager=MANAGER,
            )
    return outcome


def difference(wanted: Object, current: Object) -> Object:
    """The merge patch that takes `current` to where it says all that `wanted` says.

    Lists are compared element by element in the same partial way: defaults that the server added
    to an element are no difference.
    """
    patch: Object = {}
    for key, value in wanted.items():
        if key in ("apiVersion", "kind"):
            continue
        have = current.get(key)
        if isinstance(value, dict) and isinstance(have, dict):
            inner = difference(value, have)
            if inner:
                patch[key] = inner
        elif not _covers(have, value):
            patch[key] = value
    return patch


def _covers(have: Any, want: Any) -> bool:
    if isinstance(want, dict):
        return isinstance(have, dict) and all(_covers(have.get(k), v) for k, v in want.items())
    if isinstance(want, list):
        same_length = isinstance(have, list) and len(have) == len(want)
        return same_length and all(_covers(h, w) for h, w in zip(have, want, strict=True))
    return bool(have == want)


def title(obj: Object) -> str:
    namespace = obj["metadata"].get("namespace")
    name = obj["metadata"]["name"]
    return f"{obj['kind']} {namespace}/{name}" if namespace else f"{obj['kind']} {name}"
