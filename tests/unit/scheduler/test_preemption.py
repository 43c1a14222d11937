"""Who has to go, where, and what is said when nobody can."""

from __future__ import annotations

import pytest

from tests.unit.scheduler.cluster import Cluster


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.node("a", cpu="2")
    made.node("b", cpu="2")
    return made


def put(cluster: Cluster, node: str, cpu: str, priority: int, **labels: str) -> str:
    pod = cluster.pod(cpu=cpu, priority=priority, labels=labels)
    cluster.state.place(pod, node)
    return pod.name


def test_the_node_with_the_least_important_victim(cluster: Cluster) -> None:
    put(cluster, "a", "2", 10)
    low = put(cluster, "b", "2", 5)
    candidate, _ = cluster.preempt(cluster.pod(cpu="1", priority=100))
    assert candidate is not None
    assert (candidate.node, [v.name for v in candidate.victims]) == ("b", [low])


def test_only_as_many_as_needed_and_the_important_stay(cluster: Cluster) -> None:
    cluster.state.remove_node("b")
    put(cluster, "a", "1", 50)
    low = put(cluster, "a", "1", 5)
    candidate, _ = cluster.preempt(cluster.pod(cpu="1", priority=100))
    assert candidate is not None
    assert [v.name for v in candidate.victims] == [low]
    # Nothing was changed by thinking about it.
    assert len(cluster.state.matrix.nodes["a"].pods) == 2
    assert "Insufficient cpu" in cluster.schedule(cluster.pod(cpu="1"))


def test_disruption_budgets_are_avoided(cluster: Cluster) -> None:
    put(cluster, "a", "2", 5, app="guarded")
    free = put(cluster, "b", "2", 9)
    cluster.budgets.objects = [
        {
            "metadata": {"name": "b", "namespace": "default"},
            "spec": {"selector": {"matchLabels": {"app": "guarded"}}},
            "status": {"disruptionsAllowed": 0},
        }
    ]
    candidate, _ = cluster.preempt(cluster.pod(cpu="1", priority=100))
    assert candidate is not None
    assert [v.name for v in candidate.victims] == [free]


def test_messages(cluster: Cluster) -> None:
    put(cluster, "a", "2", 100)
    put(cluster, "b", "2", 100)
    assert cluster.preempt(cluster.pod(cpu="1", priority=100))[1] == (
        "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: "
        "2 No preemption victims found for incoming pod."
    )
    assert cluster.preempt(cluster.pod(cpu="3", priority=1000))[1] == (
        "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: "
        "2 Preemption is not helpful for scheduling."
    )
    never = cluster.pod(cpu="1", priority=1000, preemptionPolicy="Never")
    assert cluster.preempt(never)[1] == (
        "0/2 nodes are available: 2 Insufficient cpu. "
        "preemption: not eligible due to preemptionPolicy=Never."
    )


def test_room_is_kept_for_the_nominated(cluster: Cluster) -> None:
    cluster.state.remove_node("b")
    waiting = cluster.pod(cpu="2", priority=100)
    cluster.state.nominate(waiting, "a")
    assert "Insufficient cpu" in cluster.schedule(cluster.pod(cpu="1", priority=5))
    assert cluster.schedule(cluster.pod(cpu="1", priority=500)) == "a"
    cluster.state.nominate(waiting, "")
    assert cluster.schedule(cluster.pod(cpu="1", priority=5)) == "a"


def test_a_pod_whose_victims_are_leaving_waits(cluster: Cluster) -> None:
    cluster.state.remove_node("b")
    leaving = cluster.pod(cpu="2", priority=1)
    leaving.deleting = True
    cluster.state.place(leaving, "a")
    waiting = cluster.pod(cpu="2", priority=100)
    cluster.state.nominate(waiting, "a")
    diagnosis = cluster.evaluator.diagnose(waiting)
    assert cluster.preemption.find(waiting, diagnosis) is None
    assert diagnosis.waiting
    assert diagnosis.message().endswith(
        "preemption: not eligible due to a terminating pod on the nominated node."
    )
