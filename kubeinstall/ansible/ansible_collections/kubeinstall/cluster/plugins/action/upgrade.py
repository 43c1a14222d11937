"""Ansible action: one step of changing a host's runtime. Works whatever version of ours the host has."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from kubeinstall import KUBERNETES_VERSION, __version__
from kubeinstall.ansible.remote_runtime import shell, stage_script, switch_script
from kubeinstall.ansible.remote_upgrade import (
    Build,
    back_script,
    begin_script,
    done_script,
    drop_script,
    look_script,
    purge_script,
    read_look,
    refusal,
)
from kubeinstall.ansible.transfer import uploaded

Object = dict[str, Any]


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Arguments: `step`, `archive` (as `plan` returns it), `force`, `at_end`."""

    TRANSFERS_FILES = False  # by a folder of its own, see `transfer`
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> Object:
        """Do the step."""
        result: Object = super().run(tmp, task_vars)
        result["changes"] = []
        step = self._task.args["step"]
        if step == "look":
            return self._look(result, task_vars["inventory_hostname"])
        # Bringing it changes nothing that runs; and only it can say what would change.
        if step == "bring":
            return self._bring(result)
        if step == "drop":
            script = drop_script(self._task.args["archive"]["id"])
            self._execute(result, script, "the runtime that was brought cannot be taken away")
            return {**result, "changed": False}
        identity = (self._task.args.get("archive") or {}).get("id", "")
        script, change = {
            "begin": (begin_script(self._task.args.get("at_end", "")), ""),
            "switch": (switch_script(identity), f"switch to runtime {identity}"),
            "done": (done_script(), ""),
            "back": (back_script(), "go back to the runtime before, and restart the components"),
            "purge": (purge_script(), "remove the runtime"),
        }[step]
        result["changes"] = [change] if change else []
        result["changed"] = bool(change)
        if not self._task.check_mode:
            self._execute(result, script, f"{change or step}: failed")
        return result

    def _look(self, result: Object, host: str) -> Object:
        archive = self._task.args["archive"]
        answer = self._execute(result, look_script(archive["id"]), "the host cannot be looked at")
        found = read_look(answer.get("stdout") or "")
        if found is None:
            result.setdefault("msg", "the host's shell gave no sensible answer")
            return {**result, "failed": True}
        target = Build(archive["id"], __version__, KUBERNETES_VERSION)
        needed = found.build.runtime != target.runtime or bool(found.under_way)
        why = refusal(
            found.build.kubernetes, KUBERNETES_VERSION, force=bool(self._task.args.get("force"))
        )
        facts = {
            "current": asdict(found.build),
            "target": asdict(target),
            "needed": needed,
            "under_way": found.under_way,
            "refusal": why if needed else "",
        }
        result.update(facts, staged=found.staged, changed=False)
        result[f"upgrade of {host}"] = facts
        if needed and why and not self._task.args.get("only_tell"):
            result.update(failed=True, msg=f"{host} is not upgraded, nor is any host: {why}")
        return result

    def _bring(self, result: Object) -> Object:
        archive = self._task.args["archive"]
        with uploaded(self, archive["path"]) as folder:
            source = f"{folder}/{Path(archive['path']).name}"
            script = stage_script(archive["id"], archive["python"], source)
            self._execute(result, script, "the runtime cannot be unpacked")
        result.update(
            changed=True, changes=[f"bring runtime {archive['id']} beside the one in use"]
        )
        return result

    def _execute(self, result: Object, script: str, failure: str) -> Object:
        answer: Object = self._low_level_execute_command(shell(script), sudoable=True)
        if answer.get("rc"):
            said = (answer.get("stderr") or answer.get("stdout") or "").strip()
            result.update(failed=True, msg=f"{failure}\n{said}".strip())
        return answer
