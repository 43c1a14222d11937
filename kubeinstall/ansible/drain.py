"""Emptying a node for work on it: which pods go, which stay, and which stop the work.

The rules, their order and the words are kubectl's (`kubectl drain`): evictions, so that PodDisruptionBudgets are
honoured; DaemonSets' and static pods stay; pods that nobody makes again, or with data that goes with them, need a word.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubeinstall.errors import (
    Conflict,
    Forbidden,
    KubeinstallError,
    NotFound,
    StatusError,
    TooManyRequests,
)

if TYPE_CHECKING:
    from kubeinstall.client.client import ApiClient

Object = dict[str, Any]
Say = Callable[[str], None]

NODES, PODS, DAEMON_SETS = "v1/nodes", "v1/pods", "apps/v1/daemonsets"
MIRROR = "kubernetes.io/config.mirror"
_AGAIN_SECONDS = 5.0
_LOOK_SECONDS = 0.5
_FINISHED = frozenset({"Succeeded", "Failed"})
_DAEMONS = "DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"
_LOCAL = "Pods with local storage (use --delete-emptydir-data to override)"
_UNMANAGED = "Pods that declare no controller (use --force to override)"


@dataclass(frozen=True)
class DrainOptions:
    """kubectl's flags. `grace_period` in seconds, -1 for each pod's own; `timeout` in seconds, 0 for none.

    `skip_wait_seconds` > 0: a pod whose deletion was asked for longer ago than this is not waited for.
    """

    force: bool = False
    ignore_daemonsets: bool = False
    delete_emptydir_data: bool = False
    disable_eviction: bool = False
    grace_period: int = -1
    timeout: float = 0.0
    skip_wait_seconds: float = 0.0
    pod_selector: str = ""


@dataclass(frozen=True)
class DrainPlan:
    """`remove`: pods to evict. `warnings` for the user; `errors` stop it."""

    remove: list[Object]
    warnings: list[str]
    errors: list[str]


async def cordon(
    client: ApiClient, name: str, *, unschedulable: bool, dry_run: bool = False
) -> bool:
    """Mark the node unschedulable, or schedulable again; False when it is so already."""
    node = await client.get(NODES, name)
    if bool((node.get("spec") or {}).get("unschedulable")) == unschedulable:
        return False
    if not dry_run:
        value = True if unschedulable else None
        await client.patch(NODES, name, {"spec": {"unschedulable": value}}, kind="merge")
    return True


async def drain(
    client: ApiClient, name: str, options: DrainOptions, say: Say, *, dry_run: bool = False
) -> list[str]:
    """Cordon the node and remove its pods; what was done, as sentences. KubeinstallError says why it cannot be.

    Asks everything before it evicts anything: a pod that may not go stops it while all still run.
    """
    changes = []
    if await cordon(client, name, unschedulable=True, dry_run=dry_run):
        changes.append(f"cordon node {name}")
        say(f"node/{name} cordoned")
    plan = await plan_drain(client, name, options)
    if plan.errors:
        raise KubeinstallError(f"unable to drain node {name!r}: " + "; ".join(plan.errors))
    for warning in plan.warnings:
        say(f"Warning: {warning}")
    changes += [f"evict pod {title(pod)}" for pod in plan.remove]
    if not dry_run:
        await _remove_all(client, plan.remove, options, say)
    return changes


async def plan_drain(client: ApiClient, name: str, options: DrainOptions) -> DrainPlan:
    """What a drain would do with every pod of the node."""
    listed = await client.list(
        PODS, field_selector=f"spec.nodeName={name}", label_selector=options.pod_selector
    )
    pods = listed["items"]
    daemons = await _daemon_sets(client, pods)
    return sort_out(pods, daemons, options, time.time())


def sort_out(
    pods: Iterable[Object],
    daemons: set[tuple[str, str]],
    options: DrainOptions,
    now: float,
) -> DrainPlan:
    """kubectl's filters. `daemons`: (namespace, name) of the DaemonSets that exist. `now` in seconds since 1970."""
    remove: list[Object] = []
    warnings: dict[str, list[str]] = {}
    errors: dict[str, list[str]] = {}
    for pod in pods:
        if _long_deleted(pod, options.skip_wait_seconds, now) or MIRROR in _annotations(pod):
            continue
        verdicts = list(_verdicts(pod, daemons, options))
        for kind, text in verdicts:
            if kind != "skip":
                (errors if kind == "error" else warnings).setdefault(text, []).append(title(pod))
            elif text:
                warnings.setdefault(text, []).append(title(pod))
        if all(kind == "warn" for kind, _ in verdicts):
            remove.append(pod)
    return DrainPlan(remove, _joined("", warnings), _joined("cannot delete ", errors))


def _verdicts(
    pod: Object, daemons: set[tuple[str, str]], options: DrainOptions
) -> Iterable[tuple[str, str]]:
    """(`skip`, `warn` or `error`, sentence) of each filter that has something to say; the first skip ends it."""
    owner = _controller(pod)
    finished = (pod.get("status") or {}).get("phase") in _FINISHED
    if owner is not None and owner.get("kind") == "DaemonSet" and not finished:
        if (pod["metadata"]["namespace"], owner["name"]) in daemons:
            if options.ignore_daemonsets:
                yield "skip", "ignoring DaemonSet-managed Pods"
            else:
                yield "error", _DAEMONS
            return
        if not options.force:
            yield (
                "error",
                f'Pods whose DaemonSet "{owner["name"]}" is gone (use --force to override)',
            )
            return
        yield "warn", "deleting Pods whose DaemonSet is gone"
    if finished:
        return
    if any("emptyDir" in volume for volume in (pod.get("spec") or {}).get("volumes") or []):
        if options.delete_emptydir_data:
            yield "warn", "deleting Pods with local storage"
        else:
            yield "error", _LOCAL
    if owner is None:
        if options.force:
            yield "warn", "deleting Pods that declare no controller"
        else:
            yield "error", _UNMANAGED


def _joined(prefix: str, found: dict[str, list[str]]) -> list[str]:
    return [f"{prefix}{text}: {', '.join(names)}" for text, names in found.items()]


def title(pod: Object) -> str:
    """`namespace/name`."""
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _annotations(pod: Object) -> Object:
    return pod["metadata"].get("annotations") or {}


def _controller(pod: Object) -> Object | None:
    owners = pod["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), None)


def _long_deleted(pod: Object, seconds: float, now: float) -> bool:
    from kubeinstall.api.times import unix

    stamp = pod["metadata"].get("deletionTimestamp")
    return bool(stamp and seconds > 0 and now - unix(stamp) > seconds)


async def _daemon_sets(client: ApiClient, pods: Iterable[Object]) -> set[tuple[str, str]]:
    """Of the DaemonSets that the pods name, those that exist."""
    named = set()
    for pod in pods:
        owner = _controller(pod)
        if owner is not None and owner.get("kind") == "DaemonSet":
            named.add((pod["metadata"]["namespace"], owner["name"]))
    found = set()
    for namespace, name in named:
        try:
            await client.get(DAEMON_SETS, name, namespace)
        except NotFound:
            continue
        found.add((namespace, name))
    return found


async def _remove_all(
    client: ApiClient, pods: list[Object], options: DrainOptions, say: Say
) -> None:
    """All at once, as kubectl does; until every pod is gone, or the time is over."""
    waiting: dict[str, str] = {}
    tasks = [_remove(client, pod, options, say, waiting) for pod in pods]
    try:
        async with asyncio.timeout(options.timeout or None):
            results = await asyncio.gather(*tasks, return_exceptions=True)
    except TimeoutError as error:
        left = "; ".join(f"pod {name}: {why}" for name, why in sorted(waiting.items()))
        raise KubeinstallError(
            f"drain did not complete within {options.timeout:.0f} s: {left}"
        ) from error
    failed = [str(result) for result in results if isinstance(result, BaseException)]
    if failed:
        raise KubeinstallError("; ".join(failed))


async def _remove(
    client: ApiClient, pod: Object, options: DrainOptions, say: Say, waiting: dict[str, str]
) -> None:
    name, meta = title(pod), pod["metadata"]
    said = ""
    while True:
        try:
            await _ask(client, meta, options)
            break
        except NotFound:
            return
        except StatusError as error:
            if isinstance(error, Conflict):
                break  # the name is another pod's by now: the wait below finds so
            if not _passes(error):
                raise KubeinstallError(f"error when evicting pod {name}: {error}") from error
            waiting[name] = str(error)
            if said != str(error):
                said = str(error)
                say(
                    f"pod {name} cannot be evicted yet, tried every {_AGAIN_SECONDS:.0f} s: {error}"
                )
        await asyncio.sleep(_AGAIN_SECONDS)
    waiting[name] = "evicted, but still terminating"
    await _wait_gone(client, meta, options)
    waiting.pop(name, None)
    say(f"pod/{meta['name']} evicted")


async def _ask(client: ApiClient, meta: Object, options: DrainOptions) -> None:
    if options.disable_eviction:
        grace = options.grace_period if options.grace_period >= 0 else None
        await client.delete(
            PODS, meta["name"], meta["namespace"], grace_period_seconds=grace, uid=meta["uid"]
        )
        return
    delete: Object = {"preconditions": {"uid": meta["uid"]}}
    if options.grace_period >= 0:
        delete["gracePeriodSeconds"] = options.grace_period
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
        "deleteOptions": delete,
    }
    await client.create(PODS, eviction, subresource="eviction")


def _passes(error: StatusError) -> bool:
    """Whether to ask again: a budget, a namespace that is ending, or a server that cannot answer now."""
    if isinstance(error, TooManyRequests) or error.status_code in (500, 503, 504):
        return True
    causes = (error.details or {}).get("causes") or []
    return isinstance(error, Forbidden) and any(
        cause.get("reason") == "NamespaceTerminating" for cause in causes
    )


async def _wait_gone(client: ApiClient, meta: Object, options: DrainOptions) -> None:
    while True:
        try:
            pod = await client.get(PODS, meta["name"], meta["namespace"])
        except NotFound:
            return
        except StatusError as error:
            if not _passes(error):
                raise
        else:
            if pod["metadata"]["uid"] != meta["uid"]:
                return
            if _long_deleted(pod, options.skip_wait_seconds, time.time()):
                return
        await asyncio.sleep(_LOOK_SECONDS)
