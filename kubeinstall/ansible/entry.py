"""The bridge between Ansible's module protocol and an `ensure` function."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeinstall.ansible.outcome import Outcome
from kubeinstall.errors import KubeinstallError

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

_ADMINISTRATORS_PATH = "/usr/local/sbin:/usr/sbin:/sbin"

#: (arguments, check mode) → what was, or would be, done.
Ensure = Callable[[dict[str, Any], bool], Outcome]


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
