"""Deployments and ReplicaSets against a real API server."""

from __future__ import annotations

from typing import Any

from tests.controllers.world import World, pod_template, running
from tests.support.apiserver import RunningServer

DEPLOYMENTS = "apps/v1/deployments"
SETS = "apps/v1/replicasets"
PODS = "v1/pods"


async def deploy(world: World, name: str, replicas: int, **spec: Any) -> None:
    labels = {"app": name}
    body = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": pod_template(labels),
        **spec,
    }
    await world.create(DEPLOYMENTS, "Deployment", name, body)


async def rolled_out(world: World, name: str) -> dict[str, Any]:
    async def check() -> dict[str, Any] | None:
        found = await world.get(DEPLOYMENTS, name)
        status, wanted = found.get("status") or {}, found["spec"]["replicas"]
        done = (
            status.get("observedGeneration", 0) >= found["metadata"]["generation"]
            and status.get("updatedReplicas", 0) == wanted
            and status.get("replicas", 0) == wanted
            and status.get("availableReplicas", 0) == wanted
        )
        return found if done else None

    found: dict[str, Any] = await world.until(check, 30, f"{name} rolled out")
    return found


def condition(obj: dict[str, Any], kind: str) -> dict[str, Any]:
    listed = (obj.get("status") or {}).get("conditions") or []
    return next((c for c in listed if c["type"] == kind), {})


async def test_rollout_update_undo_and_scale(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        await deploy(world, "web", 3)
        found = await rolled_out(world, "web")
        assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"

        async def available() -> bool:
            latest = await world.get(DEPLOYMENTS, "web")
            return bool(condition(latest, "Progressing").get("reason") == "NewReplicaSetAvailable")

        await world.until(available)
        (first,) = await world.list(SETS)
        digest = first["metadata"]["labels"]["pod-template-hash"]
        assert first["metadata"]["name"] == f"web-{digest}"
        assert first["spec"]["selector"]["matchLabels"] == {
            "app": "web",
            "pod-template-hash": digest,
        }

        image = [{"name": "main", "image": "busybox:2"}]
        await world.patch(
            DEPLOYMENTS, "web", {"spec": {"template": {"spec": {"containers": image}}}}
        )
        found = await rolled_out(world, "web")
        assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
        sets = {s["metadata"]["name"]: s for s in await world.list(SETS)}
        assert sets[first["metadata"]["name"]]["spec"]["replicas"] == 0
        assert len(sets) == 2

        back = [{"name": "main", "image": "busybox:1"}]
        await world.patch(
            DEPLOYMENTS, "web", {"spec": {"template": {"spec": {"containers": back}}}}
        )
        await rolled_out(world, "web")
        again = await world.get(SETS, first["metadata"]["name"])
        assert again["spec"]["replicas"] == 3
        notes = again["metadata"]["annotations"]
        assert notes["deployment.kubernetes.io/revision"] == "3"
        assert notes["deployment.kubernetes.io/revision-history"] == "1"

        await world.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 1}})
        await rolled_out(world, "web")

        async def one_pod() -> bool:
            return len(await world.list(PODS)) == 1

        await world.until(one_pod)


async def test_rolling_update_respects_its_fences(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        rolling = {"maxSurge": 1, "maxUnavailable": 0}
        await deploy(
            world, "steady", 4, strategy={"type": "RollingUpdate", "rollingUpdate": rolling}
        )
        await rolled_out(world, "steady")
        lowest, highest = 99, 0
        image = [{"name": "main", "image": "busybox:2"}]
        await world.patch(
            DEPLOYMENTS, "steady", {"spec": {"template": {"spec": {"containers": image}}}}
        )

        async def watch_it() -> bool:
            nonlocal lowest, highest
            pods = await world.list(PODS)
            ready = [
                p
                for p in pods
                if any(c["status"] == "True" for c in p["status"].get("conditions", []))
            ]
            lowest, highest = min(lowest, len(ready)), max(highest, len(pods))
            images = {p["spec"]["containers"][0]["image"] for p in pods}
            return images == {"busybox:2"} and len(pods) == 4

        await world.until(watch_it, 30)
        assert lowest >= 4
        assert highest <= 5


async def test_recreate_paused_and_history(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        await deploy(world, "re", 2, strategy={"type": "Recreate"}, revisionHistoryLimit=1)
        await rolled_out(world, "re")
        await world.patch(DEPLOYMENTS, "re", {"spec": {"paused": True}})

        async def paused() -> bool:
            found = await world.get(DEPLOYMENTS, "re")
            return bool(condition(found, "Progressing").get("reason") == "DeploymentPaused")

        await world.until(paused)
        for number in (2, 3, 4):
            image = [{"name": "main", "image": f"busybox:{number}"}]
            template = {"spec": {"containers": image}}
            await world.patch(DEPLOYMENTS, "re", {"spec": {"paused": False, "template": template}})
            await rolled_out(world, "re")

        async def pruned() -> bool:
            return len(await world.list(SETS)) == 2

        await world.until(pruned)


async def test_progress_deadline(api_server: RunningServer) -> None:
    async with running(api_server, kubelet=False) as world:
        await deploy(world, "stuck", 1, progressDeadlineSeconds=1)

        async def timed_out() -> bool:
            found = await world.get(DEPLOYMENTS, "stuck")
            said = condition(found, "Progressing")
            return said.get("reason") == "ProgressDeadlineExceeded" and said["status"] == "False"

        await world.until(timed_out)


async def test_replica_set_adopts_releases_and_replaces(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        labels = {"app": "adopt"}
        orphan = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "orphan", "namespace": world.namespace, "labels": labels},
            "spec": {"containers": [{"name": "main", "image": "busybox"}]},
        }
        await world.client.create(PODS, orphan)
        spec = {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": pod_template(labels),
        }
        await world.create(SETS, "ReplicaSet", "adopt", spec)

        async def owned() -> bool:
            found = await world.get(PODS, "orphan")
            refs = found["metadata"].get("ownerReferences") or []
            return len(await world.list(PODS)) == 2 and bool(refs) and refs[0]["controller"]

        await world.until(owned)
        await world.patch(PODS, "orphan", {"metadata": {"labels": {"app": "free"}}})

        async def released() -> bool:
            found = await world.get(PODS, "orphan")
            mine = await world.list(PODS, "app=adopt")
            return not found["metadata"].get("ownerReferences") and len(mine) == 2

        await world.until(released)

        async def status() -> bool:
            found = (await world.get(SETS, "adopt"))["status"]
            return bool(found.get("readyReplicas") == 2 and found["replicas"] == 2)

        await world.until(status)


async def test_deleting_a_deployment_collects_everything(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        await deploy(world, "bye", 2)
        await rolled_out(world, "bye")
        await world.client.delete(
            DEPLOYMENTS, "bye", world.namespace, propagation_policy="Foreground"
        )
        await world.gone(DEPLOYMENTS, "bye")
        assert await world.list(PODS) == []
        assert await world.list(SETS) == []
