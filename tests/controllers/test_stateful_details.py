"""StatefulSets in detail: partitions, parallel management, claim retention, failed pods; surging DaemonSets."""

from __future__ import annotations

from typing import Any

from tests.controllers.test_jobs_and_sets import node
from tests.controllers.world import World, pod_template, running, set_status
from tests.support.apiserver import RunningServer

SETS = "apps/v1/statefulsets"
PODS = "v1/pods"
CLAIMS = "v1/persistentvolumeclaims"


async def make(world: World, name: str, replicas: int, **spec: Any) -> None:
    labels = {"app": name}
    body = {
        "replicas": replicas,
        "serviceName": name,
        "selector": {"matchLabels": labels},
        "template": pod_template(labels),
        **spec,
    }
    await world.create(SETS, "StatefulSet", name, body)


async def images(world: World, name: str) -> dict[str, str]:
    return {
        p["metadata"]["name"]: p["spec"]["containers"][0]["image"]
        for p in await world.list(PODS, f"app={name}")
        if any(c["status"] == "True" for c in p["status"].get("conditions") or [])
    }


async def set_image(world: World, name: str, image: str, **strategy: Any) -> None:
    containers = [{"name": "main", "image": image}]
    spec: dict[str, Any] = {"template": {"spec": {"containers": containers}}}
    if strategy:
        spec["updateStrategy"] = strategy
    await world.patch(SETS, name, {"spec": spec})


def waits_for(world: World, name: str, expected: dict[str, str]) -> Any:
    async def check() -> bool:
        return await images(world, name) == expected

    return check


async def test_partition_holds_back_and_old_pods_come_back_old(
    api_server: RunningServer,
) -> None:
    async with running(api_server) as world:
        await make(world, "web", 3)
        await world.until(waits_for(world, "web", {f"web-{n}": "busybox:1" for n in range(3)}))
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
        await set_image(world, "web", "busybox:2", **rolling)
        canary = {"web-0": "busybox:1", "web-1": "busybox:1", "web-2": "busybox:2"}
        await world.until(waits_for(world, "web", canary))
        status = (await world.get(SETS, "web"))["status"]
        assert status["currentRevision"] != status["updateRevision"]
        await world.client.delete(PODS, "web-0", world.namespace, grace_period_seconds=0)
        await world.client.delete(PODS, "web-2", world.namespace, grace_period_seconds=0)
        await world.until(waits_for(world, "web", canary))
        rolling["rollingUpdate"] = {"partition": 0}
        await set_image(world, "web", "busybox:2", **rolling)
        await world.until(waits_for(world, "web", {f"web-{n}": "busybox:2" for n in range(3)}))

        async def settled() -> bool:
            status = (await world.get(SETS, "web"))["status"]
            same = status["currentRevision"] == status["updateRevision"]
            return bool(same and status["currentReplicas"] == 3)

        await world.until(settled)


async def test_on_delete_waits_for_the_user(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        await make(world, "od", 2, updateStrategy={"type": "OnDelete"})
        await world.until(waits_for(world, "od", {"od-0": "busybox:1", "od-1": "busybox:1"}))
        await set_image(world, "od", "busybox:2")
        await world.client.delete(PODS, "od-1", world.namespace, grace_period_seconds=0)
        await world.until(waits_for(world, "od", {"od-0": "busybox:1", "od-1": "busybox:2"}))


async def test_order_waits_for_readiness_and_parallel_does_not(
    api_server: RunningServer,
) -> None:
    async with running(api_server, kubelet=False) as world:
        await make(world, "ordered", 2)
        await make(world, "burst", 3, podManagementPolicy="Parallel")

        async def all_at_once() -> bool:
            return len(await world.list(PODS, "app=burst")) == 3

        await world.until(all_at_once)
        (first,) = await world.list(PODS, "app=ordered")
        assert first["metadata"]["name"] == "ordered-0"
        await set_status(world.client, first, "Running", ready=True)

        async def second() -> bool:
            return len(await world.list(PODS, "app=ordered")) == 2

        await world.until(second)
        failed = await world.get(PODS, "ordered-1")
        await set_status(world.client, failed, "Failed", ready=False)

        async def replaced() -> bool:
            found = await world.get(PODS, "ordered-1")
            return bool(found["metadata"]["uid"] != failed["metadata"]["uid"])

        await world.until(replaced)
        await world.patch(SETS, "burst", {"spec": {"replicas": 0}})

        async def none() -> bool:
            return not await world.list(PODS, "app=burst")

        await world.until(none)


async def test_claims_go_as_the_policy_says(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        claim = {
            "metadata": {"name": "d"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Mi"}},
            },
        }
        policy = {"whenScaled": "Delete", "whenDeleted": "Delete"}
        await make(
            world,
            "gone",
            2,
            volumeClaimTemplates=[claim],
            persistentVolumeClaimRetentionPolicy=policy,
        )
        await world.until(waits_for(world, "gone", {"gone-0": "busybox:1", "gone-1": "busybox:1"}))
        await world.patch(SETS, "gone", {"spec": {"replicas": 1}})
        await world.gone(CLAIMS, "d-gone-1")
        assert (await world.get(CLAIMS, "d-gone-0"))["metadata"]["name"] == "d-gone-0"
        await world.client.delete(SETS, "gone", world.namespace)
        await world.gone(CLAIMS, "d-gone-0")


async def test_daemon_set_surges(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        name = f"{world.namespace}-s"
        await node(world, name)
        labels = {"app": "surge"}
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        spec = {
            "selector": {"matchLabels": labels},
            "template": pod_template(labels),
            "updateStrategy": rolling,
            "minReadySeconds": 1,
        }
        await world.create("apps/v1/daemonsets", "DaemonSet", "surge", spec)

        def only(image: str) -> Any:
            async def check() -> bool:
                status = (await world.get("apps/v1/daemonsets", "surge")).get("status") or {}
                found = await images(world, "surge")
                return list(found.values()) == [image] and status.get("numberAvailable") == 1

            return check

        await world.until(only("busybox:1"))
        containers = [{"name": "main", "image": "busybox:2"}]
        await world.patch(
            "apps/v1/daemonsets",
            "surge",
            {"spec": {"template": {"spec": {"containers": containers}}}},
        )

        async def both() -> bool:
            return sorted((await images(world, "surge")).values()) == ["busybox:1", "busybox:2"]

        await world.until(both)
        await world.until(only("busybox:2"))
        await world.client.delete("apps/v1/daemonsets", "surge", world.namespace)
        await world.client.delete("v1/nodes", name)
