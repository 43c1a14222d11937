"""The full log of a run."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from kubeinstall.provision.results import RunResult

DIRECTORY = Path("/var/log/kubernetes")


def write_log(name: str, result: RunResult, *, keep: bool = True) -> str:
    """Append the run's output to `/var/log/kubernetes/kubeinstall-NAME.log`; returns the path.

    With `keep=False`, or where that place cannot be written (not root), a temporary file is used.
    """
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = f"==== {stamp} {'done' if result.ok else 'failed'} in {result.seconds:.1f} s\n"
    text += result.output + "\n"
    if keep:
        try:
            DIRECTORY.mkdir(parents=True, exist_ok=True)
            path = DIRECTORY / f"kubeinstall-{name}.log"
            with path.open("a") as stream:
                stream.write(text)
        except OSError:
            pass
        else:
            return str(path)
    with tempfile.NamedTemporaryFile(
        "w", prefix=f"kubeinstall-{name}-", suffix=".log", delete=False
    ) as temporary:
        temporary.write(text)
    return temporary.name
