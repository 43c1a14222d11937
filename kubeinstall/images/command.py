"""Running the tools that make images."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from kubeinstall.images.errors import ImageError

_TIMEOUT_SECONDS = 600


def run(argv: Sequence[str], *, cwd: Path | None = None) -> str:
    """Run a tool and return what it printed; raise `ImageError` with its words otherwise."""
    try:
        done = subprocess.run(
            argv, cwd=cwd, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise ImageError(f"{argv[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"{argv[0]} did not end within {_TIMEOUT_SECONDS} s") from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()[-2000:]
        raise ImageError(f"{' '.join(argv[:3])} failed with status {done.returncode}: {words}")
    return done.stdout
