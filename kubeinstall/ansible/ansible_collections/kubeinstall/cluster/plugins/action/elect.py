"""Ansible action: decide which control plane acts for the cluster, and what is new. Touches no host."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Arguments: `configs` (host → configuration), `register` (where each host's facts of `prepare` are)."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Run once for all hosts."""
        from kubeinstall.ansible.elect import decide
        from kubeinstall.errors import KubeinstallError

        result: dict[str, Any] = super().run(tmp, task_vars)
        groups, hostvars = task_vars["groups"], task_vars["hostvars"]
        variable = self._task.args["register"]
        facts = {name: hostvars[name][variable] for name in task_vars["ansible_play_hosts"]}
        configs = self._task.args["configs"]  # without hosts that are leaving
        try:
            decision = decide(
                configs,
                facts,
                [name for name in groups.get("kube_control_plane", ()) if name in configs],
                [name for name in groups.get("etcd", ()) if name in configs],
            )
        except KubeinstallError as error:
            result.update(failed=True, msg=str(error))
            return result
        result.update(asdict(decision))
        return result
