"""Files on their way from the controller to a host, for action plugins."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubeinstall.errors import KubeinstallError

_MAKE = "umask 077; mktemp -d /var/tmp/kubeinstall.XXXXXXXX"


@contextlib.contextmanager
def uploaded(action: Any, *files: str) -> Iterator[str]:
    """A folder on the host with these files of the controller's, for as long as the block lasts.

    It belongs to whoever logs in, who need not be root and may not write where the file is to go; Ansible's own
    temporary folder would leave its parents behind.
    """
    answer = action._low_level_execute_command(_MAKE, sudoable=False)
    folder = (answer.get("stdout") or "").strip().rpartition("\n")[2].strip()
    if answer.get("rc") or not folder.startswith("/var/tmp/kubeinstall."):  # noqa: S108  # made by mktemp there
        said = (answer.get("stderr") or answer.get("stdout") or "").strip()
        raise KubeinstallError(f"no temporary folder can be made in /var/tmp\n{said}".strip())
    try:
        for local in files:
            action._connection.put_file(local, f"{folder}/{Path(local).name}")
        yield folder
    finally:
        action._low_level_execute_command(f"rm -rf {shlex.quote(folder)}", sudoable=False)
