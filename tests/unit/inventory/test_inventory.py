"""Inventories: what is derived from them, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeinstall.ansible.inventory.derive import configuration_of
from kubeinstall.ansible.inventory.model import read_inventory
from kubeinstall.ansible.inventory.validate import problems
from kubeinstall.config import ConfigError
from kubeinstall.errors import KubeinstallError
from kubeinstall.provision.apply import only_run, taking_part, with_those_concerned
from kubeinstall.provision.inventory.load import load
from kubeinstall.provision.inventory.make import make_inventory

GROUPS = {"kube_control_plane": ["a", "b", "c"], "etcd": ["a", "b", "c"], "kube_node": ["d"]}
ADDRESSES = {name: f"192.0.2.{number}" for number, name in enumerate("abcd", 10)}


def inventory(groups: dict[str, list[str]] | None = None, **changes: dict[str, Any]) -> Any:
    """Four hosts; `changes` are variables of single hosts."""
    hosts = {name: {"node_ip": ip, **changes.get(name, {})} for name, ip in ADDRESSES.items()}
    return read_inventory(groups or GROUPS, hosts)


def messages(found: Any) -> list[str]:
    return [f"{f.host}: {f.variable}: {f.message}" for f in problems(found)]


def test_a_right_inventory_has_no_problems() -> None:
    assert messages(inventory()) == []


def test_what_a_control_plane_is_told() -> None:
    config = configuration_of(inventory(), "b")
    assert config["host"]["roles"] == ["control-plane", "etcd", "node"]
    # Its own member first: no call leaves the host while that one is well.
    assert config["host"]["etcd"]["client_urls"][0] == "https://192.0.2.11:2379"
    assert len(config["host"]["etcd"]["client_urls"]) == 3
    assert config["host"]["balancer"] == "https://127.0.0.1:6445"
    assert {"127.0.0.1", "a", "192.0.2.12"} <= set(config["cluster"]["apiServer"]["certSANs"])
    [taint] = config["init"]["nodeRegistration"]["taints"]
    assert taint["key"] == "node-role.kubernetes.io/control-plane"


def test_what_a_worker_is_told() -> None:
    labels = {"disk": "ssd"}
    config = configuration_of(inventory(d={"node_labels": labels}), "d")
    assert config["host"]["roles"] == ["node"]
    assert config["host"]["labels"] == labels
    assert config["init"]["nodeRegistration"]["taints"] == []
    assert config["init"]["localAPIEndpoint"]["advertiseAddress"] == "192.0.2.13"


def test_a_control_plane_among_the_nodes_takes_pods() -> None:
    groups = {**GROUPS, "kube_node": ["c", "d"]}
    assert configuration_of(inventory(groups), "c")["init"]["nodeRegistration"]["taints"] == []


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({**GROUPS, "etcd": []}, "group etcd has no host"),
        ({**GROUPS, "etcd": ["a", "b"]}, "an even number tolerates no more failures"),
        ({**GROUPS, "kube_control_plane": []}, "group kube_control_plane has no host"),
        ({**GROUPS, "etcd": ["a", "b", "d"]}, "d: : is in etcd and kube_node"),
    ],
)
def test_wrong_groups(groups: dict[str, list[str]], expected: str) -> None:
    assert any(expected in message for message in messages(inventory(groups)))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"node_ip": "127.0.0.1"},
            "d: node_ip: 127.0.0.1 is not an address that other hosts can reach",
        ),
        ({"node_ip": "192.0.2.10"}, "d: node_ip: 192.0.2.10 is the address of a too"),
        ({"node_lables": {}}, "d: node_lables: unknown variable; did you mean node_labels?"),
        ({"node_labels": {"a": 1}}, "d: node_labels: a: 1 is not of type 'string'"),
        ({"node_taints": [{"key": "k"}]}, "d: node_taints: [0]: 'effect' is a required property"),
        ({"kubeinstall_api_port": 7443}, "d: kubeinstall_api_port: differs from a's"),
    ],
)
def test_wrong_variables(variables: dict[str, Any], expected: str) -> None:
    assert any(message.startswith(expected) for message in messages(inventory(d=variables)))


def test_a_wrong_document_is_told_once() -> None:
    given = {"kubeinstall_cluster": {"networking": {"podSubnet": "10.0.0.0/33"}}}
    found = messages(inventory(None, **dict.fromkeys("abcd", given)))
    assert len(found) == 1
    assert "networking.podSubnet" in found[0]


def test_file_and_line_of_a_wrong_variable(tmp_path: Path) -> None:
    names = [f"{name}={ip}" for name, ip in ADDRESSES.items()]
    (tmp_path / "hosts.yml").write_text(make_inventory(names[:3], names[3:]))
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "host_vars/d.yml").write_text("# of d\nnode_lables: {}\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert str(caught.value).startswith(
        f"{tmp_path}/host_vars/d.yml:2: d: node_lables: unknown variable"
    )


def test_a_made_inventory_is_right(tmp_path: Path) -> None:
    names = [f"{name}={ip}" for name, ip in ADDRESSES.items()]
    (tmp_path / "hosts.yml").write_text(make_inventory(names[:3], names[3:]))
    assert load(tmp_path).inventory.workers == ("d",)


def test_wrong_flag_of_a_component(tmp_path: Path) -> None:
    names = [f"{name}={ip}" for name, ip in ADDRESSES.items()]
    (tmp_path / "hosts.yml").write_text(make_inventory(names[:3], names[3:]))
    (tmp_path / "group_vars").mkdir()
    flags = {"scheduler": {"extraArgs": [{"name": "parallel-bindrs", "value": "8"}]}}
    (tmp_path / "group_vars/all.yml").write_text(yaml.safe_dump({"kubeinstall_cluster": flags}))
    with pytest.raises(ConfigError, match=r"all\.yml:1: kubeinstall_cluster: .*did you mean"):
        load(tmp_path)


def test_missing_inventory(tmp_path: Path) -> None:
    with pytest.raises(KubeinstallError, match="no such inventory"):
        load(tmp_path / "nothing")


def test_made_inventories() -> None:
    document = yaml.safe_load(make_inventory(["root@a=192.0.2.1:2222"], ["192.0.2.9"]))["all"]
    children = document["children"]
    expected = {"ansible_host": "192.0.2.1", "ansible_port": 2222, "ansible_user": "root"}
    assert children["kube_control_plane"]["hosts"]["a"] == expected
    assert children["etcd"]["hosts"] == {}
    assert list(children["kube_node"]["hosts"]) == ["node-192-0-2-9"]


def test_limit_brings_a_control_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    found = inventory()
    monkeypatch.setattr("kubeinstall.provision.apply.answers", lambda host: host.name != "a")
    assert taking_part(found, ["d"]) == ["b", "d"]
    assert taking_part(found, ["c", "d"]) == ["c", "d"]
    with pytest.raises(KubeinstallError, match="not in the inventory"):
        taking_part(found, ["x"])


def test_a_limited_control_plane_concerns_every_host_that_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = inventory()
    everyone = list(found.hosts)
    monkeypatch.setattr("kubeinstall.provision.apply.answers", lambda host: host.name != "a")
    hosts, notes = with_those_concerned(found, ["c"])
    assert hosts == [name for name in everyone if name != "a"]
    assert "no answer from a" in notes[1]
    assert with_those_concerned(found, ["d"]) == (["b", "d"], [])
    assert with_those_concerned(found, []) == (everyone, [])


def test_one_run_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with (
        only_run(tmp_path),
        pytest.raises(KubeinstallError, match="another run"),
        only_run(tmp_path),
    ):
        pass
