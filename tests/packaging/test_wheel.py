"""`pip install kubeinstall` outside of a checkout is enough."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from kubeinstall.provision.share import COLLECTION
from tests.packaging.conftest import ROOT, Installed

pytestmark = pytest.mark.timeout(300)  # wheel and environment are made within the first test


def test_carries_every_role_and_playbook_as_it_is_here(wheel: Path, tree: Path) -> None:
    sources = [
        path
        for name in ("playbooks", "roles")
        for path in (tree / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert len(sources) > 50
    with zipfile.ZipFile(wheel) as archive:
        for source in sources:
            packed = archive.read(f"{COLLECTION}/{source.relative_to(tree)}")
            assert packed == source.read_bytes(), source


def test_carries_all_python_and_data_of_the_package(wheel: Path, tree: Path) -> None:
    here = {
        str(path.relative_to(tree))
        for path in (tree / "kubeinstall").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        there = {name for name in archive.namelist() if not name.startswith("ansible_collections/")}
    assert here <= there
    assert any(name.startswith("kubeinstall/_wire/cri/") for name in there)
    assert "kubeinstall/api/_bundle/types.json" in there
    assert "kubeinstall/api/protobuf/numbers/core.v1.txt" in there
    assert not [name for name in there if "/tests/" in name or name.startswith("tests/")]


PROBE = """
import importlib, json, tempfile, tarfile
from pathlib import Path
import kubeinstall
from kubeinstall.api import protobuf
from kubeinstall.cli.process import CLASSES, load_class
from kubeinstall.provision.archive import runtime_archive
from kubeinstall.provision.share import collections, shared

for name in CLASSES:
    load_class(name)
assert protobuf.supported("v1", "Pod")
pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"nodeName": "n"}}
assert protobuf.decode(protobuf.encode(pod))["spec"]["nodeName"] == "n"
with tempfile.TemporaryDirectory() as cache, tarfile.open(runtime_archive(Path(cache)).path) as tar:
    names = set(tar.getnames())
print(json.dumps({
    "package": kubeinstall.__file__, "roles": str(shared("roles")), "playbooks": str(shared("playbooks")),
    "collections": str(collections()), "archive": sorted(n for n in names if n.startswith("kubeinstall/"))[:3],
}))
"""


def test_finds_everything_where_it_was_installed(installed: Installed) -> None:
    found = json.loads(installed.run("python", "-c", PROBE))
    for name in ("package", "roles", "playbooks", "collections"):
        assert found[name].startswith(f"{installed.venv}/lib/"), found[name]
    assert found["archive"]


def test_ansible_finds_the_collection_by_its_name(installed: Installed, tmp_path: Path) -> None:
    """Without a setting: site-packages is where Ansible looks. A wrong inventory tells that our plugins run."""
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("kube_node: {hosts: {w: {ansible_host: 192.0.2.9}}}\n")
    words = ("ansible-playbook", "-i", inventory, "kubeinstall.cluster.site")
    with pytest.raises(AssertionError, match="the inventory is wrong; no host was touched"):
        installed.run(*words, ANSIBLE_HOME=str(installed.folder / "ansible"))


def test_says_its_version(installed: Installed) -> None:
    assert "kubernetes v1.36" in installed.run("kubeinstall", "version")


@pytest.mark.skipif(os.geteuid() != 0, reason="kubeinstall init needs root, in a dry run too")
def test_plans_a_cluster(installed: Installed) -> None:
    """The whole playbook, told not to write; whatever this machine is like, all of it is run."""
    words = ("kubeinstall", "init", "--dry-run", "--ignore-preflight-errors", "all")
    said = installed.run(*words, HOME=str(installed.folder))
    assert "nothing was changed" in said
    assert str(ROOT) not in said.replace(str(ROOT / ".venv"), "")
