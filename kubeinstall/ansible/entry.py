"""The bridge between Ansible's module protocol and an `ensure` function."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubeinstall.ansible import paths
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.errors import KubeinstallError

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

_ADMINISTRATORS_PATH = "/usr/local/sbin:/usr/sbin:/sbin"

_LOCK_SECONDS = 300.0

#: (arguments, check mode) → what was, or would be, done.
Ensure = Callable[[dict[str, Any], bool], Outcome]


@contextlib.contextmanager
def only_one(*, check: bool, path: Path = paths.RUN / "work.lock") -> Iterator[None]:
    """Wait for what an interrupted run may have left at work on this host; KubeinstallError when it does not end."""
    if check:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise KubeinstallError(
                        f"another run is at work on this host (it holds {path}); try again when it is done"
                    ) from error
            time.sleep(0.2)
        yield


def run_module(module: AnsibleModule, ensure: Ensure) -> None:
    """Call `ensure` with the module's arguments and answer. An expected error becomes a plain
    failure. (The module file itself must name AnsibleModule: Ansible looks for that.)"""
    # A shell got by `su` alone has no sbin on its path; what we start inherits ours.
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{_ADMINISTRATORS_PATH}"
    try:
        outcome = ensure(dict(module.params), bool(module.check_mode))
    except (KubeinstallError, OSError) as error:
        module.fail_json(msg=str(error))
        return
    for warning in outcome.warnings:
        module.warn(warning)
    answer: dict[str, Any] = {"changes": outcome.changes, **outcome.facts}
    if module._diff and outcome.diffs:
        answer["diff"] = outcome.diffs
    module.exit_json(changed=outcome.changed, **answer)
