"""DaemonSets, StatefulSets, Jobs and CronJobs against a real API server."""

from __future__ import annotations

from typing import Any

from tests.controllers.world import World, pod_template, running, set_status
from tests.support.apiserver import RunningServer

PODS = "v1/pods"
JOBS = "batch/v1/jobs"


async def node(world: World, name: str, **spec: Any) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": spec,
    }
    await world.client.create("v1/nodes", body)
    ready = [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ok"}]
    await world.client.patch(
        "v1/nodes", name, {"status": {"conditions": ready}}, subresource="status"
    )


async def test_daemon_set_runs_on_suitable_nodes_and_rolls(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        prefix = world.namespace
        taint = {"key": "example.com/special", "effect": "NoSchedule"}
        await node(world, f"{prefix}-a")
        await node(world, f"{prefix}-b")
        await node(world, f"{prefix}-tainted", taints=[taint])
        labels = {"app": "ds"}
        spec = {"selector": {"matchLabels": labels}, "template": pod_template(labels)}
        await world.create("apps/v1/daemonsets", "DaemonSet", "ds", spec)

        async def ready(image: str) -> bool:
            found = await world.get("apps/v1/daemonsets", "ds")
            status = found.get("status") or {}
            pods = await world.list(PODS, "app=ds")
            mine = {p["spec"]["containers"][0]["image"] for p in pods}
            return bool(
                status.get("numberReady") == 2
                and status.get("updatedNumberScheduled") == 2
                and status.get("desiredNumberScheduled") == 2
                and status.get("observedGeneration") == found["metadata"]["generation"]
                and mine == {image}
                and len(pods) == 2
            )

        await world.until(lambda: ready("busybox:1"))
        image = [{"name": "main", "image": "busybox:2"}]
        await world.patch(
            "apps/v1/daemonsets", "ds", {"spec": {"template": {"spec": {"containers": image}}}}
        )
        await world.until(lambda: ready("busybox:2"))
        assert len(await world.list("apps/v1/controllerrevisions")) == 2
        await world.client.delete("apps/v1/daemonsets", "ds", world.namespace)
        for name in ("a", "b", "tainted"):
            await world.client.delete("v1/nodes", f"{prefix}-{name}")


async def test_stateful_set_orders_rolls_and_keeps_claims(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        labels = {"app": "db"}
        claim = {
            "metadata": {"name": "data"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Mi"}},
            },
        }
        spec = {
            "replicas": 3,
            "serviceName": "db",
            "selector": {"matchLabels": labels},
            "template": pod_template(labels),
            "volumeClaimTemplates": [claim],
        }
        await world.create("apps/v1/statefulsets", "StatefulSet", "db", spec)

        async def done(count: int, image: str) -> bool:
            found = await world.get("apps/v1/statefulsets", "db")
            status = found.get("status") or {}
            pods = await world.list(PODS, "app=db")
            return (
                status.get("readyReplicas", 0) == count
                and status.get("currentRevision") == status.get("updateRevision")
                and sorted(p["metadata"]["name"] for p in pods)
                == [f"db-{number}" for number in range(count)]
                and {p["spec"]["containers"][0]["image"] for p in pods} <= {image}
            )

        await world.until(lambda: done(3, "busybox:1"))
        pods = {p["metadata"]["name"]: p for p in await world.list(PODS)}
        ages = [pods[f"db-{n}"]["metadata"]["resourceVersion"] for n in range(3)]
        assert ages == sorted(ages, key=int)
        assert pods["db-1"]["spec"]["hostname"] == "db-1"
        assert pods["db-1"]["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "1"
        image = [{"name": "main", "image": "busybox:2"}]
        await world.patch(
            "apps/v1/statefulsets", "db", {"spec": {"template": {"spec": {"containers": image}}}}
        )
        await world.until(lambda: done(3, "busybox:2"))
        await world.patch("apps/v1/statefulsets", "db", {"spec": {"replicas": 1}})
        await world.until(lambda: done(1, "busybox:2"))
        claims = {c["metadata"]["name"] for c in await world.list("v1/persistentvolumeclaims")}
        assert claims == {"data-db-0", "data-db-1", "data-db-2"}


async def finish(world: World, selector: str, phase: str, count: int) -> None:
    """End `count` running pods."""

    async def enough() -> list[dict[str, Any]]:
        pods = await world.list(PODS, selector)
        alive = [p for p in pods if p["status"].get("phase") == "Running"]
        return alive if len(alive) >= count else []

    for pod in (await world.until(enough))[:count]:
        await set_status(world.client, pod, phase, ready=False)


def job(**spec: Any) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "m", "image": "b"}], "restartPolicy": "Never"}}
    return {"template": template, **spec}


def has(obj: dict[str, Any], kind: str, reason: str = "") -> bool:
    return any(
        c["type"] == kind and c["status"] == "True" and (not reason or c.get("reason") == reason)
        for c in (obj.get("status") or {}).get("conditions") or []
    )


async def test_job_completes_and_counts_each_pod_once(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        await world.create(JOBS, "Job", "sum", job(completions=3, parallelism=2))
        await finish(world, "job-name=sum", "Succeeded", 2)
        await finish(world, "job-name=sum", "Succeeded", 1)

        async def complete() -> dict[str, Any] | None:
            found = await world.get(JOBS, "sum")
            return found if has(found, "Complete") else None

        status = (await world.until(complete))["status"]
        assert status["succeeded"] == 3
        assert "failed" not in status
        assert status["completionTime"]
        assert status["uncountedTerminatedPods"] == {}
        assert has({"status": status}, "SuccessCriteriaMet", "CompletionsReached")
        pods = await world.list(PODS, "job-name=sum")
        assert len(pods) == 3
        assert not any(p["metadata"].get("finalizers") for p in pods)
        await world.client.delete(JOBS, "sum", world.namespace, propagation_policy="Background")
        for pod in pods:
            await world.gone(PODS, pod["metadata"]["name"])


async def test_job_fails_at_its_limit_and_on_policy(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        await world.create(JOBS, "Job", "bad", job(backoffLimit=0))
        await finish(world, "job-name=bad", "Failed", 1)
        rules = [{"action": "FailJob", "onPodConditions": [{"type": "Ready", "status": "False"}]}]
        await world.create(JOBS, "Job", "strict", job(podFailurePolicy={"rules": rules}))
        await finish(world, "job-name=strict", "Failed", 1)

        def failed(name: str, reason: str) -> Any:
            async def check() -> bool:
                found = await world.get(JOBS, name)
                return has(found, "Failed", reason) and found["status"].get("failed") == 1

            return check

        await world.until(failed("bad", "BackoffLimitExceeded"))
        await world.until(failed("strict", "PodFailurePolicy"))


async def test_indexed_job_suspends_and_ends_by_index(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        spec = job(completionMode="Indexed", completions=3, parallelism=3, suspend=True)
        await world.create(JOBS, "Job", "idx", spec)

        async def suspended() -> bool:
            return has(await world.get(JOBS, "idx"), "Suspended")

        await world.until(suspended)
        assert await world.list(PODS, "job-name=idx") == []
        await world.patch(JOBS, "idx", {"spec": {"suspend": False}})
        await finish(world, "job-name=idx", "Succeeded", 3)

        async def complete() -> dict[str, Any] | None:
            found = await world.get(JOBS, "idx")
            return found if has(found, "Complete") else None

        status = (await world.until(complete))["status"]
        assert status["completedIndexes"] == "0-2"
        pods = await world.list(PODS, "job-name=idx")
        assert sorted(p["spec"]["hostname"] for p in pods) == ["idx-0", "idx-1", "idx-2"]
        await world.patch(JOBS, "idx", {"spec": {"ttlSecondsAfterFinished": 0}})
        await world.gone(JOBS, "idx")


async def test_cron_job_starts_jobs(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        spec = {"schedule": "@every 1s", "jobTemplate": {"spec": job()}}
        await world.create("batch/v1/cronjobs", "CronJob", "tick", spec)

        async def started() -> bool:
            found = await world.get("batch/v1/cronjobs", "tick")
            jobs = await world.list(JOBS)
            return bool(found["status"].get("lastScheduleTime")) and len(jobs) >= 1

        await world.until(started)
        (first, *_) = await world.list(JOBS)
        assert first["metadata"]["ownerReferences"][0]["kind"] == "CronJob"
        await world.patch("batch/v1/cronjobs", "tick", {"spec": {"suspend": True}})


async def by_index(world: World, name: str, count: int) -> dict[str, dict[str, Any]]:
    """The running pods of an indexed Job by index, once there are `count`."""

    async def enough() -> dict[str, dict[str, Any]] | None:
        pods = await world.list(PODS, f"job-name={name}")
        key = "batch.kubernetes.io/job-completion-index"
        found = {
            p["metadata"]["annotations"][key]: p
            for p in pods
            if p["status"].get("phase") == "Running"
        }
        return found if len(found) >= count else None

    found: dict[str, dict[str, Any]] = await world.until(enough)
    return found


async def test_job_judges_each_index(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        spec = job(completionMode="Indexed", completions=4, parallelism=4, backoffLimitPerIndex=0)
        await world.create(JOBS, "Job", "each", spec)
        await world.create(JOBS, "Job", "most", {**spec, "maxFailedIndexes": 1})
        for index, pod in (await by_index(world, "each", 4)).items():
            phase = "Failed" if int(index) % 2 else "Succeeded"
            await set_status(world.client, pod, phase, ready=False)

        def failed(name: str, reason: str) -> Any:
            async def check() -> dict[str, Any] | None:
                found = await world.get(JOBS, name)
                return found if has(found, "Failed", reason) else None

            return check

        status = (await world.until(failed("each", "FailedIndexes")))["status"]
        assert (status["failedIndexes"], status["completedIndexes"]) == ("1,3", "0,2")
        assert (status["failed"], status["succeeded"]) == (2, 2)
        pods = await by_index(world, "most", 4)
        for index in ("0", "1"):
            await set_status(world.client, pods[index], "Failed", ready=False)
        await world.until(failed("most", "MaxFailedIndexesExceeded"))


async def test_job_success_policy_ends_early(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        policy = {"rules": [{"succeededIndexes": "0"}]}
        spec = job(completionMode="Indexed", completions=3, parallelism=3, successPolicy=policy)
        await world.create(JOBS, "Job", "early", spec)
        pods = await by_index(world, "early", 3)
        await set_status(world.client, pods["0"], "Succeeded", ready=False)

        async def complete() -> dict[str, Any] | None:
            found = await world.get(JOBS, "early")
            return found if has(found, "Complete", "SuccessPolicy") else None

        status = (await world.until(complete))["status"]
        assert status["completedIndexes"] == "0"
        assert has({"status": status}, "SuccessCriteriaMet", "SuccessPolicy")
        left = await world.list(PODS, "job-name=early")
        assert [p["metadata"]["name"] for p in left] == [pods["0"]["metadata"]["name"]]


async def test_job_adopts_and_releases(api_server: RunningServer) -> None:
    async with running(api_server) as world:
        await world.create(JOBS, "Job", "own", job(completions=4, parallelism=2))

        async def two() -> list[dict[str, Any]]:
            found = await world.list(PODS, "job-name=own")
            return found if len(found) == 2 else []

        first, second = await world.until(two)
        await world.patch(PODS, first["metadata"]["name"], {"metadata": {"ownerReferences": None}})

        async def adopted() -> bool:
            found = await world.get(PODS, first["metadata"]["name"])
            return bool(found["metadata"].get("ownerReferences"))

        await world.until(adopted)
        none = dict.fromkeys(second["metadata"]["labels"])
        await world.patch(PODS, second["metadata"]["name"], {"metadata": {"labels": none}})

        async def released() -> bool:
            found = await world.get(PODS, second["metadata"]["name"])
            meta = found["metadata"]
            return not meta.get("ownerReferences") and not meta.get("finalizers")

        await world.until(released)
        await world.until(two)
        await world.client.delete(JOBS, "own", world.namespace, propagation_policy="Orphan")
        await world.gone(JOBS, "own")

        async def free() -> bool:
            found = await two()
            return bool(found) and not any(
                p["metadata"].get("finalizers") or p["metadata"].get("ownerReferences")
                for p in found
            )

        await world.until(free)
