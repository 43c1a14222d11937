#!/usr/bin/env python3
"""Build the collection kubeinstall.cluster from this tree: build.py [OUTPUT FOLDER], default dist.

Roles, playbooks and plugins are the very files that `kubeinstall` itself runs; galaxy.yml is made from pyproject.toml,
so that the collection and the Python package, which it needs in the same version, cannot drift apart.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
COLLECTION = ROOT / "kubeinstall/ansible/ansible_collections/kubeinstall/cluster"
_UNWANTED = shutil.ignore_patterns("__pycache__", "*.pyc")


def main() -> None:
    """Print the path of the tarball."""
    output = Path(sys.argv[1] if len(sys.argv) > 1 else "dist")
    with tempfile.TemporaryDirectory(prefix="kubeinstall-collection-") as folder:
        fill(Path(folder))
        output.mkdir(parents=True, exist_ok=True)
        galaxy = Path(sys.executable).parent / "ansible-galaxy"
        command: list[str | Path] = [
            galaxy,
            "collection",
            "build",
            "--force",
            "--output-path",
            output.resolve(),
            folder,
        ]
        subprocess.run(command, check=True, stdout=sys.stderr)
    metadata = galaxy_metadata()
    print(output / f"{metadata['namespace']}-{metadata['name']}-{metadata['version']}.tar.gz")  # noqa: T201  # the answer


def fill(folder: Path) -> None:
    """The collection's tree, as Galaxy wants it."""
    for name, source in (
        ("roles", ROOT / "roles"),
        ("playbooks", ROOT / "playbooks"),
        *((path.name, path) for path in sorted(COLLECTION.iterdir()) if path.is_dir()),
    ):
        shutil.copytree(source, folder / name, ignore=_UNWANTED)
    shutil.copy(ROOT / "galaxy/README.md", folder / "README.md")
    shutil.copy(ROOT / "CHANGELOG.md", folder / "CHANGELOG.md")
    (folder / "galaxy.yml").write_text(yaml.safe_dump(galaxy_metadata(), sort_keys=False))
    (folder / "meta").mkdir(exist_ok=True)
    (folder / "meta/runtime.yml").write_text(yaml.safe_dump({"requires_ansible": ansible_range()}))


def galaxy_metadata() -> dict[str, Any]:
    """The content of galaxy.yml."""
    project = _project()
    return {
        "namespace": "kubeinstall",
        "name": COLLECTION.name,
        "version": project["version"],
        "readme": "README.md",
        "authors": ["The kubeinstall maintainers"],
        "description": "Highly available Kubernetes on bare Debian hosts",
        "license": [project["license"]["text"]],
        "tags": ["infrastructure", "kubernetes", "debian", "cluster"],
        "dependencies": {},
    }


def ansible_range() -> str:
    """The versions of ansible-core that the package requires, as meta/runtime.yml writes them."""
    wanted = next(d for d in _project()["dependencies"] if d.startswith("ansible-core"))
    return str(wanted.removeprefix("ansible-core"))


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


if __name__ == "__main__":
    main()
