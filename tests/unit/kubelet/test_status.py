"""Statuses, phases and conditions."""

from __future__ import annotations

from typing import Any

import pytest

from kubeinstall.kubelet.cri.types import PodRuntime
from kubeinstall.kubelet.pod.status import Verdict, make_status
from kubeinstall.kubelet.status.patch import status_patch
from tests.unit.kubelet.pods import NoProbes, Verdicts, container, pod, runtime, sandbox, status

Object = dict[str, Any]


def report(made: Object, found: PodRuntime, previous: Object | None = None, **more: Any) -> Object:
    given: Object = {
        "reasons": {},
        "probes": NoProbes(),
        "host_ips": ["192.0.2.1"],
        "terminal": False,
        **more,
    }
    return make_status(made, found, previous or {}, **given)


def conditions(made: Object) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c.get("reason", "")) for c in made["conditions"]}


def test_before_anything_runs() -> None:
    made = report(pod(), runtime(sandboxes=()))
    assert made["phase"] == "Pending"
    assert made["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert conditions(made) == {
        "PodReadyToStartContainers": ("False", ""),
        "Initialized": ("True", ""),
        "Ready": ("False", "ContainersNotReady"),
        "ContainersReady": ("False", "ContainersNotReady"),
        "PodScheduled": ("True", ""),
    }
    assert "podIP" not in made
    assert made["hostIPs"] == [{"ip": "192.0.2.1"}]


def test_running() -> None:
    made = report(pod(), runtime(status(image_ref="sha256:1")))
    entry = made["containerStatuses"][0]
    assert made["phase"] == "Running"
    assert entry["state"] == {"running": {"startedAt": "1970-01-01T00:00:20Z"}}
    assert (entry["ready"], entry["started"], entry["imageID"]) == (True, True, "sha256:1")
    assert made["podIP"] == "10.0.0.1"
    assert conditions(made)["Ready"] == ("True", "")


def test_probes_hold_back_ready_and_started() -> None:
    made = report(pod(), runtime(status()), probes=Verdicts(readiness=False))
    assert (made["containerStatuses"][0]["started"], made["containerStatuses"][0]["ready"]) == (
        True,
        False,
    )
    made = report(pod(), runtime(status()), probes=Verdicts(startup=False, readiness=True))
    assert (made["containerStatuses"][0]["started"], made["containerStatuses"][0]["ready"]) == (
        False,
        False,
    )


def test_crash_loop_keeps_what_was() -> None:
    reasons = {"c": ("CrashLoopBackOff", "back-off 10s …")}
    found = runtime(status(state="exited", exit_code=3, reason="Error", finished_at=30 * 10**9))
    made = report(pod(restartPolicy="Always"), found, reasons=reasons)
    entry = made["containerStatuses"][0]
    assert entry["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert entry["lastState"]["terminated"]["exitCode"] == 3
    assert made["phase"] == "Running"


@pytest.mark.parametrize(
    ("policy", "codes", "phase"),
    [
        ("Never", (0, 0), "Succeeded"),
        ("Never", (0, 1), "Failed"),
        ("OnFailure", (0, 0), "Succeeded"),
        ("OnFailure", (0, 1), "Running"),
        ("Always", (0, 0), "Running"),
    ],
)
def test_phase_of_stopped_containers(policy: str, codes: tuple[int, int], phase: str) -> None:
    made = pod(container("a"), container("b"), restartPolicy=policy)
    found = runtime(*(status(n, "exited", exit_code=c) for n, c in zip("ab", codes, strict=True)))
    assert report(made, found)["phase"] == phase


def test_a_terminal_phase_is_never_left() -> None:
    assert report(pod(), runtime(status()), {"phase": "Failed"})["phase"] == "Failed"


def test_init_containers() -> None:
    made = pod(initContainers=[container("i")])
    before = report(made, runtime(status("i")))
    assert before["phase"] == "Pending"
    assert before["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert conditions(before)["Initialized"] == ("False", "ContainersNotInitialized")
    after = report(made, runtime(status("i", "exited"), status()))
    assert after["initContainerStatuses"][0]["ready"]
    assert conditions(after)["Initialized"] == ("True", "")


def test_readiness_gates() -> None:
    made = pod(readinessGates=[{"conditionType": "x"}])
    missing = report(made, runtime(status()))
    assert conditions(missing)["Ready"] == ("False", "ReadinessGatesNotReady")
    gate = {"type": "x", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    there = report({**made, "status": {"conditions": [gate]}}, runtime(status()))
    assert conditions(there)["Ready"] == ("True", "")
    assert gate in there["conditions"]


def test_what_others_said_is_taken_from_the_api_not_from_the_last_report() -> None:
    stale = {"type": "x", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    made = pod(readinessGates=[{"conditionType": "x"}])
    fresh = {**made, "status": {"conditions": [{**stale, "status": "False"}]}}
    there = report(fresh, runtime(status()), {"conditions": [stale]})
    assert conditions(there)["Ready"] == ("False", "ReadinessGatesNotReady")
    assert conditions(there)["x"] == ("False", "")


def test_a_patch_leaves_the_conditions_of_others() -> None:
    old = {"conditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert status_patch("u", old, {"conditions": []}) is None
    own = {"conditions": [{"type": "PodResizePending", "status": "True"}]}
    gone = status_patch("u", own, {"conditions": []})
    assert gone is not None
    assert gone["status"] == {"conditions": [{"type": "PodResizePending", "$patch": "delete"}]}


def test_a_lost_container_is_said_to_be_lost() -> None:
    old = {"name": "c", "state": {"running": {}}, "lastState": {}, "restartCount": 1}
    made = report(pod(), runtime(sandboxes=(sandbox(),)), {"containerStatuses": [old]})
    entry = made["containerStatuses"][0]
    assert entry["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert entry["restartCount"] == 2


def test_a_refused_pod() -> None:
    verdict = Verdict("Failed", "OutOfcpu", "Pod was rejected: …")
    made = report(pod(), runtime(sandboxes=()), verdict=verdict)
    assert (made["phase"], made["reason"], made["message"]) == (
        "Failed",
        "OutOfcpu",
        "Pod was rejected: …",
    )
    assert "containerStatuses" not in made


def test_times_change_with_the_status_only() -> None:
    first = report(pod(), runtime(status()))
    for condition in first["conditions"]:
        condition["lastTransitionTime"] = "2000-01-01T00:00:00Z"
    second = report(pod(), runtime(status()), first)
    assert {c["lastTransitionTime"] for c in second["conditions"]} == {"2000-01-01T00:00:00Z"}
    third = report(pod(), runtime(status(state="exited", exit_code=1)), first)
    times = {c["type"]: c["lastTransitionTime"] for c in third["conditions"]}
    assert times["PodScheduled"] == "2000-01-01T00:00:00Z"
    assert times["Ready"] != "2000-01-01T00:00:00Z"


def test_patches_are_small_and_bound_to_the_uid() -> None:
    old = {
        "phase": "Pending",
        "reason": "x",
        "podIPs": [{"ip": "1"}],
        "conditions": [
            {"type": "A", "status": "False"},
            {"type": "B", "status": "True", "lastProbeTime": None},
        ],
    }
    new = {
        "phase": "Running",
        "podIPs": [{"ip": "2"}],
        "conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}],
    }
    assert status_patch("u", old, new) == {
        "metadata": {"uid": "u"},
        "status": {
            "phase": "Running",
            "reason": None,
            "podIPs": [{"ip": "2"}, {"$patch": "replace"}],
            "conditions": [{"type": "A", "status": "True"}],
        },
    }
    assert status_patch("u", old, old) is None
