"""The runtime archive of a build that differs from this tree by one file, as JSON: what an upgrade can start from."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Print `path` and `id`, as the module `runtime` takes them."""
    found = importlib.util.find_spec("kubeinstall")
    if found is None or found.origin is None:
        raise SystemExit("kubeinstall is not installed")
    with tempfile.TemporaryDirectory(prefix="kubeinstall-earlier-") as folder:
        package = Path(folder) / "kubeinstall"
        shutil.copytree(
            Path(found.origin).parent, package, ignore=shutil.ignore_patterns("__pycache__")
        )
        (package / "earlier.txt").write_text("the build before\n")
        sys.path.insert(0, folder)
        from kubeinstall.provision.archive import runtime_archive

        archive = runtime_archive()
    print(json.dumps({"path": str(archive.path), "id": archive.id}))  # noqa: T201  # the answer


if __name__ == "__main__":
    main()
