"""Running the host's own tools."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from kubeinstall.errors import KubeinstallError


class CommandError(KubeinstallError):
    """A tool failed; the message has its last lines."""


def run(
    command: Sequence[str],
    *,
    seconds: float = 120,
    environment: Mapping[str, str] | None = None,
    check: bool = True,
) -> str:
    """Run a command and return what it printed. CommandError when it fails and `check` is set."""
    try:
        done = subprocess.run(
            list(command),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env={**os.environ, **(environment or {})},
        )
    except FileNotFoundError as error:
        raise CommandError(f"{command[0]}: not found on this host") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{' '.join(command)}: not done after {seconds:.0f} s") from error
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-8:]
        raise CommandError(f"{' '.join(command)}: exit code {done.returncode}\n" + "\n".join(said))
    return done.stdout
