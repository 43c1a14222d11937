"""The Galaxy-shaped collection, built from this tree, installed offline and used by its name."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest
import yaml

from kubeinstall.config import load_init
from kubeinstall.provision.checks import as_variables
from tests.packaging.conftest import ROOT, Installed

pytestmark = pytest.mark.timeout(300)  # wheel and environment are made within the first test


@pytest.fixture(scope="module")
def tarball(installed: Installed) -> Path:
    said = installed.run("python", ROOT / "galaxy/build.py", installed.folder / "built")
    return Path(said.strip())


@pytest.fixture(scope="module")
def collections(installed: Installed, tarball: Path) -> Path:
    target = installed.folder / "collections"
    words = ("collection", "install", tarball, "--offline", "--collections-path", target)
    installed.run("ansible-galaxy", *words, ANSIBLE_HOME=str(installed.folder / "ansible"))
    return target


def test_metadata_is_the_packages(tarball: Path) -> None:
    with tarfile.open(tarball) as tar:
        manifest_file, runtime = (
            tar.extractfile("MANIFEST.json"),
            tar.extractfile("meta/runtime.yml"),
        )
        assert manifest_file is not None
        assert runtime is not None
        information = json.load(manifest_file)["collection_info"]
        assert yaml.safe_load(runtime)["requires_ansible"].startswith(">=2.")
        names = set(tar.getnames())
    assert (information["namespace"], information["name"]) == ("kubeinstall", "cluster")
    assert f"kubeinstall-cluster-{information['version']}.tar.gz" == tarball.name
    assert {
        "README.md",
        "playbooks/site.yml",
        "playbooks/init.yml",
        "plugins/action/plan.py",
    } <= names
    roles = {path.name for path in (ROOT / "roles").iterdir()}
    assert roles == {
        name.split("/")[1] for name in names if name.startswith("roles/") and "/" in name[6:]
    }
    assert not [name for name in names if "__pycache__" in name]


def _play(installed: Installed, collections: Path, *words: str) -> str:
    return installed.run(
        "ansible-playbook",
        *words,
        ANSIBLE_COLLECTIONS_PATH=str(collections),
        ANSIBLE_HOME=str(installed.folder / "ansible"),
        ANSIBLE_NOCOLOR="1",
        PYTHONWARNINGS="ignore",
    )


@pytest.mark.parametrize("playbook", sorted(p.stem for p in (ROOT / "playbooks").glob("*.yml")))
def test_every_playbook_finds_its_roles_and_modules(
    installed: Installed, collections: Path, playbook: str
) -> None:
    words = ("--list-tasks", "-i", "localhost,", f"kubeinstall.cluster.{playbook}")
    assert "play #1" in _play(installed, collections, *words)


@pytest.mark.skipif(os.geteuid() != 0, reason="the roles need root, in check mode too")
def test_runs_by_its_name(installed: Installed, collections: Path) -> None:
    """In check mode, on this machine, with modules and roles of the collection alone."""
    config = as_variables(load_init(None, node_name="localhost", address="192.0.2.1"))
    variables = {
        "kubeinstall_config": config,
        "preflight_ignore": ["all"],
        "ansible_connection": "local",
        "ansible_python_interpreter": str(installed.venv / "bin/python"),
    }
    path = installed.folder / "variables.json"
    path.write_text(json.dumps(variables))
    inventory = installed.folder / "hosts.yml"
    inventory.write_text("kube_control_plane:\n  hosts:\n    localhost:\n")
    words = ("kubeinstall.cluster.init", "--check", "-i", str(inventory), "-e", f"@{path}")
    said = _play(installed, collections, *words)
    assert "failed=0" in said
    assert "kubeinstall.cluster.control_plane" in said
