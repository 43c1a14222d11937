"""Ansible action: what a host is and has, in one round trip, and whether it may take part. Changes nothing."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from ansible.plugins.action import ActionBase

from kubeinstall import __version__
from kubeinstall.ansible.remote_runtime import (
    Probe,
    foreign_bundle,
    incompatible,
    not_root,
    other_runtime,
    probe_script,
    read_probe,
    shell,
)

_CLOCK_SECONDS = 30.0


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Arguments: `archive`, `packages` (package → command that makes it unnecessary), `bundle`, `any_host`."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Ask, and judge."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        asked = time.time()
        script = probe_script(arguments.get("packages"))
        answer = self._low_level_execute_command(shell(script), sudoable=True)
        took = time.time() - asked
        probe = read_probe(answer.get("stdout") or "")
        if probe is None:
            said = (answer.get("stderr") or answer.get("stdout") or "").strip()
            message = f"the host's shell gave no sensible answer\n{said}".strip()
            return {**result, "failed": True, "msg": message}
        trouble = self._trouble(probe, probe.clock - asked, took)
        if trouble:
            return {**result, "failed": True, "msg": trouble}
        result.update(changed=False, found=asdict(probe))
        return result

    def _trouble(self, probe: Probe, skew: float, took: float) -> str:
        if self._task.args.get("any_host"):
            return not_root(probe)
        archive, bundle = self._task.args["archive"], self._task.args.get("bundle") or {}
        if bundle and (trouble := foreign_bundle(probe, bundle)):
            return trouble
        if trouble := incompatible(probe, archive["python"], archive["machine"]):
            return trouble
        if not -_CLOCK_SECONDS < skew < _CLOCK_SECONDS + took:
            return (
                f"its clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's; "
                "set both right (timedatectl, systemd-timesyncd): certificates depend on it"
            )
        return other_runtime(probe, archive["id"], __version__)
