"""What is done next, from what is there."""

from __future__ import annotations

from kubeinstall.kubelet.containers.actions import Actions, compute
from kubeinstall.kubelet.cri.types import PodRuntime
from kubeinstall.kubelet.pod import spec
from tests.unit.kubelet.pods import NoProbes, Verdicts, container, pod, runtime, sandbox, status


def names(listed: list[dict[str, object]]) -> list[object]:
    return [item["name"] for item in listed]


def act(made: dict[str, object], found: PodRuntime, **verdicts: bool) -> Actions:
    return compute(made, found, Verdicts(**verdicts) if verdicts else NoProbes())


def hashed(name: str = "c", state: str = "running", **more: object):  # type: ignore[no-untyped-def]  # a status
    return status(name, state, hash=spec.container_hash(container(name)), **more)


def test_a_new_pod_gets_a_sandbox_and_its_containers() -> None:
    done = act(pod(container("a"), container("b")), runtime(sandboxes=()))
    assert (done.create_sandbox, done.attempt, names(done.main)) == (True, 0, ["a", "b"])


def test_a_new_pod_with_init_containers_starts_the_first_of_them_only() -> None:
    done = act(pod(initContainers=[container("i1"), container("i2")]), runtime(sandboxes=()))
    assert (names(done.init), done.main) == (["i1"], [])


def test_a_running_pod_needs_nothing() -> None:
    assert not act(pod(), runtime(hashed()))


def test_a_dead_sandbox_is_replaced_and_everything_started_again() -> None:
    found = runtime(hashed(state="exited", exit_code=137), sandboxes=(sandbox(ready=False),))
    done = act(pod(), found)
    assert done.stop_pod
    assert (done.create_sandbox, done.attempt, names(done.main)) == (True, 1, ["c"])


def test_a_dead_sandbox_of_a_pod_that_never_restarts_is_only_cleaned_up() -> None:
    found = runtime(hashed(state="exited"), sandboxes=(sandbox(ready=False),))
    done = act(pod(restartPolicy="Never"), found)
    assert done.stop_pod
    assert not done.create_sandbox


def test_restart_policies() -> None:
    for policy, code, again in (
        ("Always", 0, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 1, False),
    ):
        done = act(pod(restartPolicy=policy), runtime(hashed(state="exited", exit_code=code)))
        assert names(done.main) == (["c"] if again else []), (policy, code)
        assert done.stop_pod is not again


def test_a_changed_image_replaces_the_container() -> None:
    done = act(pod(), runtime(status(hash="other")))
    assert done.kills[0].message == "Container c definition changed, will be restarted"
    assert names(done.main) == ["c"]


def test_failed_probes_kill() -> None:
    done = act(pod(), runtime(hashed()), liveness=False)
    assert done.kills[0].message == "Container c failed liveness probe, will be restarted"
    assert names(done.main) == ["c"]
    done = act(pod(restartPolicy="Never"), runtime(hashed()), startup=False)
    assert done.kills[0].message == "Container c failed startup probe"
    assert not done.main


def test_init_containers_one_after_the_other() -> None:
    made = pod(initContainers=[container("i1"), container("i2")])
    assert not act(made, runtime(hashed("i1")))
    assert names(act(made, runtime(hashed("i1", "exited"))).init) == ["i2"]
    done = act(made, runtime(hashed("i1", "exited"), hashed("i2", "exited")))
    assert (names(done.init), names(done.main)) == ([], ["c"])
    again = act(made, runtime(hashed("i1", "exited", exit_code=1)))
    assert names(again.init) == ["i1"]


def test_an_init_container_that_fails_for_good_ends_the_pod() -> None:
    made = pod(restartPolicy="Never", initContainers=[container("i1")])
    done = act(made, runtime(hashed("i1", "exited", exit_code=1)))
    assert done.stop_pod
    assert not done.init
    assert not done.main


def test_sidecars_hold_what_follows_until_they_have_started() -> None:
    side = container("side", restartPolicy="Always", startupProbe={"exec": {"command": ["true"]}})
    made = pod(initContainers=[side, container("i2")])
    assert not act(made, runtime(hashed("side")), readiness=True)
    assert names(act(made, runtime(hashed("side")), startup=True).init) == ["i2"]


def test_a_sidecar_that_ended_is_started_again_while_the_pod_runs() -> None:
    made = pod(restartPolicy="Never", initContainers=[container("side", restartPolicy="Always")])
    done = act(made, runtime(hashed("side", "exited"), hashed()))
    assert names(done.init) == ["side"]
    assert not done.stop_pod


def test_ephemeral_containers_are_started_once() -> None:
    made = pod(ephemeralContainers=[container("e")])
    assert names(act(made, runtime(hashed())).ephemeral) == ["e"]
    assert not act(made, runtime(hashed(), hashed("e", "exited"))).ephemeral
