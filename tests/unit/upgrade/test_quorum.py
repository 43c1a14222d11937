"""Which members etcd can spare, and in which order."""

from __future__ import annotations

import pytest

from kubeinstall.ansible.etcdctl import Member
from kubeinstall.ansible.leaving import require_quorum
from kubeinstall.errors import KubeinstallError


def members(names: str, learners: str = "") -> list[Member]:
    return [Member(n, n, f"https://{n}:2380", f"https://{n}:2379", n in learners) for n in names]


@pytest.mark.parametrize(
    ("all_of_them", "leaving", "healthy"),
    [
        ("abc", "c", "abc"),
        ("abc", "c", "ab"),  # the dead one
        ("ab", "b", "ab"),
        ("ab", "b", "a"),
        ("abcde", "ed", "abcd"),  # the dead one first, then another: 3 of 4, then 3 of 3
        ("abc", "cb", "abc"),
    ],
)
def test_spared(all_of_them: str, leaving: str, healthy: str) -> None:
    found = members(all_of_them)
    require_quorum(found, [m for n in leaving for m in found if m.name == n], set(healthy))


@pytest.mark.parametrize(
    ("all_of_them", "leaving", "healthy"),
    [
        ("abc", "c", "ac"),  # one of two would be left
        ("a", "a", "a"),  # the last
        ("abc", "cba", "abc"),
        ("abcd", "d", "ad"),
    ],
)
def test_not_spared(all_of_them: str, leaving: str, healthy: str) -> None:
    found = members(all_of_them)
    with pytest.raises(KubeinstallError, match="no quorum"):
        require_quorum(found, [m for n in leaving for m in found if m.name == n], set(healthy))


def test_learners_do_not_vote() -> None:
    found = members("abc", learners="bc")
    require_quorum(found, found[2:], {"a"})
    with pytest.raises(KubeinstallError, match="etcd member a is not taken out: of the 0"):
        require_quorum(found, found[:1], {"a", "b", "c"})
