"""Build hook: what a wheel carries beside the package's own files.

The generated API type data and gRPC stubs (`kubeinstall.api.bundle`); and the Ansible collection `kubeinstall.cluster`
in `ansible_collections/`, where ansible-playbook finds it by its name without any setting.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COLLECTION = "ansible_collections/kubeinstall/cluster"


class GenerateHook(BuildHookInterface[Any]):
    """Runs before files are collected, for wheels and editable installs alike."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate into the source tree, and have the git-ignored results packed."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        sys.path.insert(0, str(root))
        try:
            from kubeinstall.api import bundle

            bundle.generate(root)
        finally:
            sys.path.remove(str(root))
        if version != "editable":  # a checkout is used as it is; a copy of it would only grow old
            parts = {"playbooks": "playbooks", "roles": "roles"}
            parts["plugins"] = f"kubeinstall/ansible/{COLLECTION}/plugins"
            build_data["force_include"].update(
                {str(root / source): f"{COLLECTION}/{name}" for name, source in parts.items()}
            )
        build_data["artifacts"] += ["kubeinstall/api/_bundle/*", "kubeinstall/_wire/**"]
