"""Ansible action: a step of restoring a cluster. What concerns the backup's file is done on this machine."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

Object = dict[str, Any]

_PREFIX = "kubeinstall-restore-"
_AUTHORITIES, _EXTRAS = "authorities.json", "extras.json"


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Arguments: `step`, and what each step needs; see the module's documentation."""

    TRANSFERS_FILES = True
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> Object:
        """Do the step."""
        from kubeinstall.errors import KubeinstallError

        result: Object = super().run(tmp, task_vars)
        result["changes"] = []
        try:
            match self._task.args["step"]:
                case "open":
                    return self._open(result)
                case "look":
                    return self._look(result)
                case "close":
                    shutil.rmtree((self._task.args.get("backup") or {}).get("folder", ""), True)
                    return result
                case "place":
                    return self._place(result, task_vars)
                case _:
                    return self._module(result, self._arguments(), task_vars)
        except (KubeinstallError, OSError) as error:
            result.update(failed=True, msg=str(error))
            return result

    def _open(self, result: Object) -> Object:
        from kubeinstall.provision.backup.opening import open_backup
        from kubeinstall.provision.backup.passphrase import read_passphrase

        arguments = self._task.args
        path = arguments.get("passphrase_file")
        passphrase = (
            read_passphrase(Path(path)) if path else str(arguments.get("passphrase") or "").encode()
        )
        _remove_abandoned()
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getppid()}-"))
        try:
            opened = open_backup(
                Path(arguments["file"]),
                passphrase,
                arguments["configs"],
                folder,
                other_hosts=bool(arguments.get("other_hosts")),
            )
            for name, content in ((_AUTHORITIES, opened.authorities), (_EXTRAS, opened.extras)):
                with open(folder / name, "x", opener=_private) as out:
                    json.dump(content, out)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        manifest = opened.manifest
        result["backup"] = {
            "folder": str(folder),
            "id": opened.id,
            "database": str(opened.database),
            "datastore": manifest.datastore,
            "created": manifest.created,
            "objects": manifest.objects,
        }
        return result

    def _look(self, result: Object) -> Object:
        from kubeinstall.ansible.remote_runtime import shell
        from kubeinstall.provision.backup.putting import look_script, read_look

        arguments = self._task.args
        answer = self._low_level_execute_command(
            shell(look_script(arguments["config"])), sudoable=True
        )
        found = read_look(answer.get("stdout") or "")
        if found is None:
            said = (answer.get("stderr") or answer.get("stdout") or "").strip()
            result.update(
                failed=True, msg=f"the host's shell gave no sensible answer\n{said}".strip()
            )
            return result
        mark, here = found
        result["placed"] = mark.get("id") == arguments["backup"]["id"] and bool(mark.get("placed"))
        if here and not mark and not arguments.get("force"):
            result.update(
                failed=True,
                msg=f"there is a cluster on this host ({'; '.join(here)}), and nothing was changed on any. Restoring "
                "replaces it: take it off with 'kubeinstall reset -i' first, or give --force, which stops it and puts "
                "its data aside",
            )
        return result

    def _place(self, result: Object, task_vars: Any) -> Object:
        arguments = self._arguments()
        backup, roles = self._task.args["backup"], arguments["config"]["host"]["roles"]
        folder = Path(backup["folder"])
        arguments["files"] = json.loads((folder / _AUTHORITIES).read_text())
        arguments["extras"] = json.loads((folder / _EXTRAS).read_text())
        holder = "etcd" if backup["datastore"] == "etcd" else "control-plane"
        if holder not in roles or self._task.check_mode:
            return self._module(result, arguments, task_vars)
        there = self._make_tmp_path()
        try:
            arguments["database"] = f"{there}/database"
            self._transfer_file(backup["database"], arguments["database"])
            return self._module(result, arguments, task_vars)
        finally:
            self._remove_tmp_path(there)

    def _arguments(self) -> Object:
        given = self._task.args
        found = {name: given[name] for name in ("step", "config", "nodes") if name in given}
        return {**found, "id": (given.get("backup") or {}).get("id", "")}

    def _module(self, result: Object, arguments: Object, task_vars: Any) -> Object:
        answer = self._execute_module(
            module_name="kubeinstall.cluster.restore_here",
            module_args=arguments,
            task_vars=task_vars,
        )
        answer.pop("invocation", None)
        result.update(answer)
        return result


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _remove_abandoned() -> None:
    """Folders of runs that were killed: they hold keys."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)
