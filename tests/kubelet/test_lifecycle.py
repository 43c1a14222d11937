"""Pods from the API: started, reported, ended, restarted."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.kubelet.conftest import Node

pytestmark = pytest.mark.host

LOOP = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"]


def one(command: list[str], **more: Any) -> dict[str, Any]:
    return {"name": "c", "image": "busybox", "command": command, **more}


async def test_a_pod_runs_is_reported_and_goes(node: Node) -> None:
    await node.run("p", {"containers": [one(LOOP)]})
    await node.until(lambda: node.condition("p", "Ready") == "True")
    pod = node.pod("p")
    assert pod is not None
    status = pod["status"]
    assert status["phase"] == "Running"
    assert status["podIP"].startswith("10.213.77.")
    assert status["podIPs"] == [{"ip": status["podIP"]}]
    assert status["hostIP"] == "127.0.0.1"
    assert status["qosClass"] == "BestEffort"
    assert [c["type"] for c in status["conditions"]] == [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ]
    container = node.container("p")
    assert container["containerID"].startswith("containerd://")
    assert container["started"]
    assert container["restartCount"] == 0
    assert [reason for reason, _ in node.api.events("p")] == ["Pulled", "Created", "Started"]
    await node.api.delete_pod("p", grace=1)
    await node.until(lambda: node.pod("p") is None)
    assert not node.containerd.pids()
    assert not list((node.kubelet.folder / "kubelet/pods").iterdir())
    assert node.api.events("p")[-1] == ("Killing", "Stopping container c")


async def test_graceful_deletion_runs_pre_stop_and_keeps_to_the_grace(node: Node) -> None:
    lifecycle = {"preStop": {"exec": {"command": ["sh", "-c", "echo bye > /proc/1/fd/1; sleep 1"]}}}
    await node.run(
        "p",
        {
            "containers": [one(["sleep", "1000"], lifecycle=lifecycle)],
            "terminationGracePeriodSeconds": 4,
        },
    )
    await node.until(lambda: node.condition("p", "Ready") == "True")
    started = time.monotonic()
    await node.api.delete_pod("p")
    await node.until(lambda: "bye" in node.log("p"))
    await node.until(lambda: node.pod("p") is None)
    # sleep ignores SIGTERM as pid 1: it ends by SIGKILL when preStop and the rest of the grace are over.
    assert 3.0 < time.monotonic() - started < 9.0


async def test_exit_codes_and_messages(node: Node) -> None:
    done = one(["sh", "-c", "echo well > /dev/termination-log"])
    bad = {**one(["sh", "-c", "echo from the log; exit 4"]), "name": "d"}
    bad["terminationMessagePolicy"] = "FallbackToLogsOnError"
    await node.run("p", {"restartPolicy": "Never", "containers": [done, bad]})
    await node.until(lambda: node.phase("p") == "Failed")
    first = node.container("p")["state"]["terminated"]
    second = node.container("p", "d")["state"]["terminated"]
    assert (first["exitCode"], first["reason"], first["message"]) == (0, "Completed", "well\n")
    assert (second["exitCode"], second["reason"], second["message"]) == (
        4,
        "Error",
        "from the log\n",
    )
    await node.run("q", {"restartPolicy": "OnFailure", "containers": [one(["true"])]})
    await node.until(lambda: node.phase("q") == "Succeeded")
    assert node.condition("q", "Initialized") == "True"
    assert node.condition("q", "Ready") == "False"


async def test_a_crashing_container_backs_off(node: Node) -> None:
    await node.run("p", {"containers": [one(["sh", "-c", "exit 3"])]})
    await node.until(lambda: node.waiting("p").get("reason") == "CrashLoopBackOff")
    container = node.container("p")
    assert container["restartCount"] == 1
    assert container["lastState"]["terminated"]["exitCode"] == 3
    assert container["state"]["waiting"]["message"].startswith(
        "back-off 10s restarting failed container=c pod=p_default("
    )
    assert node.phase("p") == "Running"
    assert any(reason == "BackOff" for reason, _ in node.api.events("p"))


async def test_a_killed_container_is_started_again(node: Node) -> None:
    import os
    import signal

    await node.run("p", {"containers": [one(LOOP)]})
    await node.until(lambda: node.condition("p", "Ready") == "True")
    first = node.container("p")["containerID"].partition("://")[2]
    os.kill(node.containerd.pids()[first], signal.SIGKILL)
    started = time.monotonic()
    await node.until(
        lambda: (
            node.container("p").get("restartCount") == 1 and node.condition("p", "Ready") == "True"
        )
    )
    assert time.monotonic() - started < 5
    assert node.container("p")["lastState"]["terminated"]["exitCode"] == 137


async def test_init_containers_and_sidecars_run_in_order(node: Node) -> None:
    mount = [{"name": "v", "mountPath": "/v"}]
    await node.run(
        "p",
        {
            "volumes": [{"name": "v", "emptyDir": {}}],
            "initContainers": [
                {**one(["sh", "-c", "echo 1 > /v/order"]), "name": "i1", "volumeMounts": mount},
                {
                    **one(
                        [
                            "sh",
                            "-c",
                            "echo side >> /v/order; trap 'exit 0' TERM; while :; do sleep 0.2; done",
                        ]
                    ),
                    "name": "side",
                    "restartPolicy": "Always",
                    "volumeMounts": mount,
                    "startupProbe": {"exec": {"command": ["true"]}, "periodSeconds": 1},
                },
                {**one(["sh", "-c", "echo 2 >> /v/order"]), "name": "i2", "volumeMounts": mount},
            ],
            "containers": [
                {**one(["sh", "-c", "cat /v/order; sleep 1000"]), "volumeMounts": mount}
            ],
        },
    )
    await node.until(lambda: node.condition("p", "Ready") == "True")
    await node.until(lambda: node.log("p") == "1\nside\n2\n")
    side = node.container("p", "side", "initContainerStatuses")
    assert side["ready"]
    assert side["started"]
    assert "running" in side["state"]


async def test_a_failing_init_container_fails_the_pod(node: Node) -> None:
    init = {**one(["false"]), "name": "i"}
    await node.run(
        "p", {"restartPolicy": "Never", "initContainers": [init], "containers": [one(LOOP)]}
    )
    await node.until(lambda: node.phase("p") == "Failed")
    assert node.waiting("p")["reason"] == "PodInitializing"
    assert node.condition("p", "Initialized") == "False"


async def test_active_deadline(node: Node) -> None:
    await node.run("p", {"activeDeadlineSeconds": 2, "containers": [one(LOOP)]})
    await node.until(lambda: node.phase("p") == "Failed")
    pod = node.pod("p")
    assert pod is not None
    assert pod["status"]["reason"] == "DeadlineExceeded"
    assert (
        pod["status"]["message"] == "Pod was active on the node longer than the specified deadline"
    )


async def test_a_pod_that_does_not_fit_is_rejected(node: Node) -> None:
    asks = {"requests": {"cpu": "1000"}}
    await node.run("p", {"containers": [one(LOOP, resources=asks)]})
    await node.until(lambda: node.phase("p") == "Failed")
    pod = node.pod("p")
    assert pod is not None
    assert pod["status"]["reason"] == "OutOfcpu"
    assert pod["status"]["message"].startswith(
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 1000000"
    )
    await node.run("q", {"nodeSelector": {"disk": "ssd"}, "containers": [one(LOOP)]})
    await node.until(lambda: node.phase("q") == "Failed")
    other = node.pod("q")
    assert other is not None
    assert other["status"]["reason"] == "NodeAffinity"


async def test_images_that_are_not_there(node: Node) -> None:
    never = {"name": "c", "image": "busybox:none", "imagePullPolicy": "Never"}
    await node.run("never", {"containers": [never]})
    await node.run("pull", {"containers": [{"name": "c", "image": "127.0.0.1:1/none:v1"}]})
    await node.run("name", {"containers": [{"name": "c", "image": "BAD//name"}]})
    await node.until(lambda: node.waiting("never").get("reason") == "ErrImageNeverPull")
    await node.until(
        lambda: node.waiting("pull").get("reason") in ("ErrImagePull", "ImagePullBackOff")
    )
    await node.until(lambda: node.waiting("name").get("reason") == "InvalidImageName")
    await node.until(lambda: node.waiting("pull").get("reason") == "ImagePullBackOff", 30)
    assert (
        "ErrImageNeverPull",
        'Container image "busybox:none" is not present with pull policy of Never',
    ) in (node.api.events("never"))
    assert any(
        m.startswith('Failed to pull image "127.0.0.1:1/none:v1": rpc error')
        for _, m in node.api.events("pull")
    )


async def test_probes(node: Node) -> None:
    await node.run(
        "p",
        {
            "containers": [
                one(
                    [
                        "sh",
                        "-c",
                        "mkdir /w; echo hi > /w/index.html; httpd -p 80 -h /w; sleep 1000",
                    ],
                    startupProbe={"httpGet": {"port": 80}, "periodSeconds": 1},
                    readinessProbe={
                        "exec": {"command": ["test", "-e", "/ready"]},
                        "periodSeconds": 1,
                    },
                    livenessProbe={
                        "exec": {"command": ["test", "!", "-e", "/dead"]},
                        "periodSeconds": 1,
                        "failureThreshold": 2,
                    },
                )
            ]
        },
    )
    await node.until(lambda: node.container("p").get("started"))
    assert node.condition("p", "Ready") == "False"
    await node.until(
        lambda: any("Readiness probe failed" in text for _, text in node.api.events("p"))
    )
    pid = node.containerd.pids()[node.container("p")["containerID"].partition("://")[2]]
    root = Path(f"/proc/{pid}/root")
    (root / "ready").touch()
    await node.until(lambda: node.condition("p", "Ready") == "True")
    (root / "dead").touch()
    await node.until(lambda: node.container("p").get("restartCount") == 1)
    reasons = node.api.events("p")
    assert ("Killing", "Container c failed liveness probe, will be restarted") in reasons
    assert any(
        reason == "Unhealthy" and text.startswith("Liveness probe failed")
        for reason, text in reasons
    )


async def test_post_start_that_fails_restarts_the_container(node: Node) -> None:
    lifecycle = {"postStart": {"exec": {"command": ["false"]}}}
    await node.run("p", {"containers": [one(LOOP, lifecycle=lifecycle)]})
    await node.until(lambda: node.container("p").get("restartCount", 0) >= 1)
    assert ("FailedPostStartHook", "PostStartHook failed") in node.api.events("p")


async def test_thirty_pods_at_once(node: Node) -> None:
    started = time.monotonic()
    for number in range(30):
        await node.run(f"p{number}", {"containers": [one(LOOP)]})
    await node.until(lambda: all(node.condition(f"p{n}", "Ready") == "True" for n in range(30)), 60)
    print(f"30 pods Ready after {time.monotonic() - started:.1f} s")
    addresses = {(node.pod(f"p{n}") or {})["status"]["podIP"] for n in range(30)}
    assert len(addresses) == 30
    await asyncio.gather(*(node.api.delete_pod(f"p{n}", grace=1) for n in range(30)))
    await node.until(lambda: not any(node.pod(f"p{n}") for n in range(30)), 60)


async def test_sidecars_end_when_the_work_is_done(node: Node) -> None:
    side = {**one(LOOP), "name": "side", "restartPolicy": "Always"}
    done = one(["sh", "-c", "sleep 1"])
    await node.run("p", {"restartPolicy": "Never", "initContainers": [side], "containers": [done]})
    await node.until(lambda: node.phase("p") == "Succeeded")
    ended = node.container("p", "side", "initContainerStatuses")["state"]["terminated"]
    assert ended["exitCode"] == 0
    await node.until(lambda: not node.containerd.pids())


async def test_deleting_a_pod_that_cannot_start(node: Node) -> None:
    volume = {"name": "v", "secret": {"secretName": "never"}}
    mounts = [{"name": "v", "mountPath": "/v"}]
    await node.run("p", {"containers": [one(LOOP, volumeMounts=mounts)], "volumes": [volume]})
    await node.until(lambda: any(reason == "FailedMount" for reason, _ in node.api.events("p")))
    await node.api.delete_pod("p")
    await node.until(lambda: node.pod("p") is None, 5)


async def test_hosts_network_and_processes(node: Node) -> None:
    command = ["sh", "-c", "cat /etc/hosts; ls -ld /proc/1; sleep 1000"]
    await node.run("p", {"hostNetwork": True, "hostPID": True, "containers": [one(command)]})
    await node.until(lambda: node.condition("p", "Ready") == "True" and "/proc/1" in node.log("p"))
    pod = node.pod("p")
    assert pod is not None
    assert pod["status"]["podIP"] == "127.0.0.1"
    assert node.log("p").startswith("# Kubernetes-managed hosts file (host network).\n")
