from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kubeinstall.apiserver.fairness.levels import Level, Rejected
from kubeinstall.apiserver.fairness.schemas import Schema
from kubeinstall.apiserver.request import User, parse_request


def limited(**response: int) -> dict[str, Any]:
    limit: dict[str, Any] = {"type": "Reject"}
    if response:
        limit = {"type": "Queue", "queuing": response}
    spec = {"type": "Limited", "limited": {"limitResponse": limit, "lendablePercent": 50}}
    return {"metadata": {"name": "l", "uid": "u"}, "spec": spec}


def made(seats: int, spare: int = 0, **response: int) -> Level:
    level = Level("l", lambda _level: spare)
    level.configure(limited(**response), seats)
    return level


async def test_without_queues_what_finds_no_seat_is_rejected() -> None:
    level = made(1)
    assert level.take()
    assert not level.take()
    with pytest.raises(Rejected, match="concurrency-limit"):
        await level.wait("f", 1)
    level.leave()
    assert level.take()


async def test_seats_are_borrowed_where_others_lend() -> None:
    level = made(1, spare=1)
    assert [level.take() for _ in range(3)] == [True, True, False]


async def test_queues_are_served_in_turn_and_bounded() -> None:
    level = made(1, queues=8, handSize=1, queueLengthLimit=2)
    assert level.take()
    hands = {flow: level._dealt(flow)[0] for flow in map(str, range(50))}
    quiet = next(flow for flow in hands if hands[flow] != hands["0"])
    order: list[str] = []

    async def one(flow: str) -> None:
        await level.wait(flow, 5)
        order.append(flow)

    tasks = [asyncio.create_task(one("0")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Rejected, match="queue-full"):
        await level.wait("0", 1)
    tasks.append(asyncio.create_task(one(quiet)))
    await asyncio.sleep(0)
    for _ in range(3):
        level.leave()
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert order == ["0", quiet, "0"]  # the flood does not go before who waits with it
    assert level.waiting == 0


async def test_who_waits_too_long_leaves_its_place() -> None:
    level = made(1, queues=1, handSize=1, queueLengthLimit=5)
    assert level.take()
    with pytest.raises(Rejected, match="time-out"):
        await level.wait("f", 0.01)
    gone = asyncio.create_task(level.wait("f", 5))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert (level.waiting, level.executing) == (0, 1)
    level.leave()
    assert level.take()


async def test_hands_are_different_queues_and_always_the_same() -> None:
    level = made(1, queues=64, handSize=6, queueLengthLimit=5)
    hand = level._dealt("a")
    assert len(set(hand)) == 6
    assert hand == level._dealt("a")
    assert hand != level._dealt("b")


@pytest.mark.parametrize(
    ("method", "path", "matches"),
    [
        ("GET", "/api/v1/namespaces/a/pods/p", True),
        ("GET", "/api/v1/namespaces/b/pods/p", False),
        ("GET", "/api/v1/nodes/n", False),
        ("PUT", "/api/v1/namespaces/a/pods/p", False),
        ("GET", "/api/v1/namespaces/a/pods/p/status", True),
        ("GET", "/api/v1/namespaces/a/pods/p/scale", False),
        ("GET", "/healthz/etcd", True),
        ("GET", "/version", False),
    ],
)
def test_rules(method: str, path: str, matches: bool) -> None:
    rule = {
        "subjects": [{"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "*"}}],
        "resourceRules": [
            {
                "verbs": ["get"],
                "apiGroups": [""],
                "resources": ["pods", "pods/status", "nodes"],
                "namespaces": ["a"],
            }
        ],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["/healthz/*"]}],
    }
    schema = Schema({"metadata": {"name": "s"}, "spec": {"rules": [rule]}})
    info = parse_request(method, path, {})
    assert schema.matches(User("system:serviceaccount:a:x"), info) is matches
    assert not schema.matches(User("system:serviceaccount:b:x"), info)
