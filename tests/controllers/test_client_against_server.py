"""The client's parts against a real server: leases, events, restarts."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kubeinstall.client import EventRecorder, Informer, LeaderElector, LeadershipLost
from kubeinstall.client.leader import host_identity
from tests.controllers.test_deployments import deploy, rolled_out
from tests.controllers.world import running
from tests.support.apiserver import RunningServer, run_api_server

LEASES = "coordination.k8s.io/v1/leases"


async def test_one_leads_and_a_released_lease_is_taken_at_once(
    api_server: RunningServer,
) -> None:
    async with api_server.client() as client:
        leading: list[str] = []

        def elector(name: str) -> LeaderElector:
            return LeaderElector(
                client, "test-lease", name, lease_duration=3, renew_deadline=2, retry_period=0.2
            )

        async def lead(name: str) -> None:
            leading.append(name)
            await asyncio.sleep(60)

        first, second = elector("first"), elector("second")
        one = asyncio.create_task(first.run(lambda: lead("first")))
        await asyncio.sleep(0.5)
        two = asyncio.create_task(second.run(lambda: lead("second")))
        await asyncio.sleep(1.0)
        assert leading == ["first"]
        one.cancel()
        await asyncio.gather(one, return_exceptions=True)
        async with asyncio.timeout(2):
            while leading != ["first", "second"]:
                await asyncio.sleep(0.05)
        lease = await client.get(LEASES, "test-lease", "kube-system")
        assert lease["spec"]["holderIdentity"] == "second"
        assert lease["spec"]["leaseTransitions"] == 1
        assert second.leading()

        lease["spec"]["holderIdentity"] = "thief"
        await client.update(LEASES, lease)
        with pytest.raises(LeadershipLost):
            async with asyncio.timeout(10):
                await two
        assert not second.leading()


async def test_who_leads_is_told_and_a_stopped_holder_does_not_write(
    api_server: RunningServer, tmp_path: Path
) -> None:
    """A holder that slept through its lease (SIGSTOP): another leads, and the first, woken, writes nothing more."""
    program = Path(__file__).with_name("sleeper.py")
    command = [sys.executable, str(program), str(api_server.admin_kubeconfig), "stopped-lease"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        async with api_server.client() as client:
            assert process.stdout is not None
            while (await asyncio.to_thread(process.stdout.readline)).strip() != "leading":
                assert process.poll() is None
            process.send_signal(signal.SIGSTOP)
            led = asyncio.Event()

            async def lead() -> None:
                led.set()
                await asyncio.sleep(60)

            elector = LeaderElector(
                client,
                "stopped-lease",
                "second",
                lease_duration=3,
                renew_deadline=2,
                retry_period=0.2,
            )
            task = asyncio.create_task(elector.run(lead))
            async with asyncio.timeout(20):
                await led.wait()
            before = (await client.get("v1/configmaps", "sleeper", "default"))["data"]
            process.send_signal(signal.SIGCONT)
            told = await asyncio.to_thread(process.communicate, timeout=20)
            after = (await client.get("v1/configmaps", "sleeper", "default"))["data"]
            assert after == before, "written after another led"
            assert "LeadershipLost" in told[0]
            lease = await client.get(LEASES, "stopped-lease", "kube-system")
            assert lease["spec"]["holderIdentity"] == "second"
            assert lease["spec"]["leaseTransitions"] == 1
            selector = "involvedObject.name=stopped-lease,reason=LeaderElection"
            found = await client.list("v1/events", "kube-system", field_selector=selector)
            messages = {event["message"] for event in found["items"]}
            assert "first became leader" in messages
            assert messages <= {"first became leader", "first stopped leading"}
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    finally:
        process.kill()
        process.communicate()


async def test_lease_of_a_dead_process_of_this_host_is_taken_at_once(
    api_server: RunningServer,
) -> None:
    code = "from kubeinstall.client.leader import host_identity; print(host_identity())"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    dead, alive = made.stdout.strip(), host_identity()
    async with api_server.client() as client:
        for name, holder, taken in (("dead-lease", dead, True), ("live-lease", alive, False)):
            spec = {"holderIdentity": holder, "leaseDurationSeconds": 60}
            meta = {"name": name, "namespace": "kube-system"}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
            await client.create(LEASES, {**lease, "metadata": meta, "spec": spec})
            led = asyncio.Event()

            async def lead(event: asyncio.Event = led) -> None:
                event.set()
                await asyncio.sleep(60)

            task = asyncio.create_task(LeaderElector(client, name, "successor").run(lead))
            await asyncio.sleep(1.0)
            assert led.is_set() == taken
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_same_event_again_is_counted(api_server: RunningServer) -> None:
    async with api_server.client() as client:
        recorder = EventRecorder(client, "tester")
        task = asyncio.create_task(recorder.run())
        about = {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"name": "noisy", "namespace": "default", "uid": "u"},
        }
        for _ in range(3):
            recorder.event(about, "Warning", "Boom", "it broke")
        async with asyncio.timeout(10):
            while True:
                selector = "involvedObject.name=noisy"
                found = await client.list("v1/events", "default", field_selector=selector)
                if found["items"] and found["items"][0]["count"] == 3:
                    break
                await asyncio.sleep(0.05)
        (event,) = found["items"]
        assert event["source"] == {"component": "tester"}
        assert (event["type"], event["reason"]) == ("Warning", "Boom")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_everything_goes_on_after_the_server_was_killed(tmp_path: Path) -> None:
    with run_api_server(tmp_path) as server:
        async with running(server) as world:
            await deploy(world, "before", 1)
            await rolled_out(world, "before")
            informer = Informer(world.client, "v1/pods", world.namespace)
            task = asyncio.create_task(informer.run())
            await informer.wait_synced()
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.restart)
            await deploy(world, "after", 2)
            await rolled_out(world, "after")
            async with asyncio.timeout(10):
                while len(informer) != 3:
                    await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
