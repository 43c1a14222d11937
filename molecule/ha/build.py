"""Another build of this tree: `build.py FOLDER` makes a copy in FOLDER that differs by one file of the package."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]


def main() -> None:
    """Copy what kubeinstall finds itself by."""
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("kubeinstall", "playbooks", "roles"):
        shutil.copytree(TREE / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "kubeinstall/another.txt").write_text("another build\n")


if __name__ == "__main__":
    main()
