"""Build hook: a wheel carries the generated API type data and gRPC stubs (`kubeinstall.api.bundle`)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


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
        build_data["artifacts"] += ["kubeinstall/api/_bundle/*", "kubeinstall/_wire/**"]
