"""A rotation over several control planes: whatever it stopped at, it goes on, and no server lacks a key it needs."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest

from kubeinstall.errors import KubeinstallError
from kubeinstall.provision import encryption_rotation as rotation
from kubeinstall.provision.encryption_rotation import State, decide
from kubeinstall.storage.encryption import new_configuration
from kubeinstall.storage.encryption.rotation import add_key, drop_keys, promote_key

Object = dict[str, Any]

CHANGES: dict[str, Callable[[Object], Object]] = {
    "add": add_key,
    "promote": promote_key,
    "drop": drop_keys,
    "carry": copy.deepcopy,
}
HOSTS = ("a", "b", "c")


def state(document: Object) -> State:
    found = []
    for entry in document["resources"]:
        keys = [
            (kind, key["name"], key["secret"])
            for provider in entry["providers"]
            for kind, body in provider.items()
            for key in (body or {}).get("keys") or [{"name": "", "secret": ""}]
        ]
        found.append((tuple(entry["resources"]), tuple(keys)))
    return tuple(found)


def names(document: Object) -> list[str]:
    return [name for _, name, _ in state(document)[0][1] if name]


class Broken(Exception):
    """The run was interrupted."""


class Plane:
    """Control planes as far as a rotation concerns them: their files, and the keys that values are stored with."""

    def __init__(self) -> None:
        first = new_configuration()
        self.files = {host: copy.deepcopy(first) for host in HOSTS}
        self.stored = {"key1"}
        self.left = 1 << 30

    def states(self) -> dict[str, State]:
        return {host: state(document) for host, document in self.files.items()}

    def play(self, step: str, source: str) -> None:
        if step == rotation.REENCRYPT:
            self._break()
            assert len({names(d)[0] for d in self.files.values()}) == 1
            self.stored = {names(self.files[source])[0]}
            return
        if step == rotation.DROP:
            assert self.stored == {names(self.files[source])[0]}
        made = CHANGES[step](self.files[source])
        for host in HOSTS:
            self._break()
            self.files[host] = copy.deepcopy(made)
            self.stored.add(names(made)[0])  # somebody writes at once
            for document in self.files.values():
                assert self.stored <= set(names(document)), "a server cannot read what is stored"

    def _break(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Broken

    def rotate(self) -> None:
        done: list[str] = []
        while True:
            following = decide(self.states())
            if following.action == rotation.ADD and done:
                return
            assert len(done) < 8, done
            done.append(following.action)
            self.play(following.action, following.source)
            if following.action == rotation.REENCRYPT:
                self.play(rotation.DROP, following.source)


def test_a_rotation_leaves_one_new_key_everywhere() -> None:
    plane = Plane()
    plane.rotate()
    assert {tuple(names(d)) for d in plane.files.values()} == {("key2",)}


@pytest.mark.parametrize("after", range(10))
def test_it_goes_on_where_it_was_interrupted(after: int) -> None:
    plane = Plane()
    plane.left = after
    with pytest.raises(Broken):
        plane.rotate()
    plane.left = 1 << 30
    plane.rotate()
    assert len({str(d) for d in plane.files.values()}) == 1
    assert len(names(plane.files["a"])) == 1
    assert names(plane.files["a"]) != ["key1"]


def test_interrupted_again_and_again_it_never_locks_a_server_out() -> None:
    for seed in range(50):
        chance = random.Random(seed)
        plane = Plane()
        for _ in range(12):
            plane.left = chance.randrange(6)
            try:
                plane.rotate()
            except Broken:
                continue
        plane.left = 1 << 30
        plane.rotate()
        assert len({str(d) for d in plane.files.values()}) == 1


def test_keys_of_two_clusters_are_an_error() -> None:
    plane = Plane()
    plane.files["b"] = new_configuration()
    with pytest.raises(KubeinstallError, match="a and b have different keys"):
        decide(plane.states())
