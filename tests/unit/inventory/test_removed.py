"""Hosts that were taken off the cluster, as control planes remember them."""

from __future__ import annotations

from pathlib import Path

from kubeinstall.ansible.inventory.derive import configuration_of
from kubeinstall.ansible.removed import remember
from tests.unit.inventory.test_inventory import inventory


def test_control_planes_remember_who_left_until_they_take_part(tmp_path: Path) -> None:
    config, path = configuration_of(inventory(), "a"), tmp_path / "state/removed-hosts"
    told = remember(config, ["d", "c"], [], check=True, path=path)
    assert told.changes == [
        "remember that c was taken off the cluster",
        "remember that d was taken off the cluster",
    ]
    assert not path.exists()
    remember(config, ["d", "c"], [], check=False, path=path)
    assert path.read_text() == "c\nd\n"
    assert not remember(config, ["d"], ["a"], check=False, path=path).changed
    assert remember(config, [], ["a", "d"], check=False, path=path).changes == [
        "forget that d was taken off the cluster"
    ]
    assert path.read_text() == "c\n"


def test_workers_remember_nothing(tmp_path: Path) -> None:
    path = tmp_path / "removed-hosts"
    config = configuration_of(inventory(), "d")
    assert not remember(config, ["c"], [], check=False, path=path).changed
    assert not path.exists()


def test_who_leaves_is_on_no_list_any_more() -> None:
    staying = inventory().without(["c"])
    config = configuration_of(staying, "a")
    assert "c" not in config["host"]["servers"]
    assert "c" not in config["host"]["etcd"]["members"]
    assert set(staying.hosts) == set(inventory().hosts) - {"c"}
