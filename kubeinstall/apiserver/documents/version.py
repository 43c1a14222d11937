"""`/version`."""

from __future__ import annotations

import platform
import sys
from functools import cache

from kubeinstall import KUBERNETES_VERSION
from kubeinstall.api.types import Object
from kubeinstall.apiserver.core import Core
from kubeinstall.apiserver.http import Exchange
from kubeinstall.apiserver.respond import send_object

#: The release of Kubernetes whose API this is.
GIT_VERSION = KUBERNETES_VERSION
MAJOR, MINOR = GIT_VERSION.removeprefix("v").split(".")[:2]
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


async def serve(_core: Core, exchange: Exchange) -> None:
    """GET /version."""
    await send_object(exchange, 200, document())


@cache
def document() -> Object:
    """`version.Info`; clients look at major, minor and gitVersion."""
    machine = platform.machine()
    return {
        "major": MAJOR,
        "minor": MINOR,
        "emulationMajor": MAJOR,
        "emulationMinor": MINOR,
        "minCompatibilityMajor": MAJOR,
        "minCompatibilityMinor": str(int(MINOR) - 1),
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "compiler": platform.python_implementation().lower(),
        "platform": f"linux/{_ARCHITECTURES.get(machine, machine)}",
    }
