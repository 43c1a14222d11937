"""Ansible action: kubeinstall itself on a host. One round trip when it is there already."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from kubeinstall.ansible.remote_runtime import (
    HOME,
    INSTALL_PYTHON,
    PROBE,
    Probe,
    incompatible,
    read_probe,
    shell,
    unpack_script,
)

_CLOCK_SECONDS = 30.0
_IMAGES = "/var/lib/kubeinstall/images"


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Arguments: `path`, `id`, `python`, `machine` of the archive, and `images`, archives to leave on a new host."""

    TRANSFERS_FILES = True
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Look, and bring what is missing."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        archive = self._task.args
        asked = time.time()
        answer = self._low_level_execute_command(shell(PROBE), sudoable=True)
        took = time.time() - asked
        probe = read_probe(answer.get("stdout") or "")
        if probe is None:
            return self._failed(result, "the host's shell gave no sensible answer", answer)
        trouble = incompatible(probe, archive["python"], archive["machine"])
        skew = probe.clock - asked
        if not trouble and not -_CLOCK_SECONDS < skew < _CLOCK_SECONDS + took:
            trouble = (
                f"its clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's; "
                "set both right (timedatectl, systemd-timesyncd): certificates depend on it"
            )
        if trouble:
            return self._failed(result, trouble)
        present = probe.runtime == archive["id"]
        result.update(changed=not present, present=present, changes=[])
        if present:
            return result
        result["changes"] = [f"install runtime {archive['id']} in {HOME}"]
        if probe.runtime:
            result["changes"].append("restart every component with it, one control plane at a time")
        if not self._task.check_mode:
            return self._install(result, probe)
        return result

    def _install(self, result: dict[str, Any], probe: Probe) -> dict[str, Any]:
        archive = self._task.args
        if not probe.python:
            result["changes"].insert(0, "install python3")
            answer = self._low_level_execute_command(shell(INSTALL_PYTHON), sudoable=True)
            if answer.get("rc"):
                return self._failed(result, "python3 cannot be installed", answer)
        target = f"{HOME}/.{archive['id']}.tar.gz"
        self._low_level_execute_command(f"mkdir -p {HOME} {_IMAGES}", sudoable=True)
        if not probe.runtime:
            for image in archive.get("images") or ():
                self._connection.put_file(image, f"{_IMAGES}/{Path(image).name}")
        self._connection.put_file(archive["path"], target)
        script = unpack_script(archive["id"], archive["python"], target)
        answer = self._low_level_execute_command(shell(script), sudoable=True)
        if answer.get("rc"):
            return self._failed(result, "the runtime cannot be unpacked", answer)
        result["present"] = True
        return result

    @staticmethod
    def _failed(
        result: dict[str, Any], message: str, answer: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        said = ((answer or {}).get("stderr") or (answer or {}).get("stdout") or "").strip()
        result.update(failed=True, msg=f"{message}\n{said}".strip())
        return result
