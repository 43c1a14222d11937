"""Ansible action: make a backup of the cluster on a control plane, and bring it to this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

Object = dict[str, Any]


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Arguments: `file` (here; must not be there), `passphrase` or `passphrase_file` (here)."""

    TRANSFERS_FILES = True
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> Object:
        """Make it there, fetch it, look at what came, and leave nothing there."""
        from kubeinstall.errors import KubeinstallError

        result: Object = super().run(tmp, task_vars)
        file = Path(self._task.args["file"]).absolute()
        try:
            passphrase = self._passphrase()
            _require_room(file)
        except KubeinstallError as error:
            result.update(failed=True, msg=str(error))
            return result
        if self._task.check_mode:
            result.update(changed=True, changes=[f"write {file}"])
            return result
        folder = self._make_tmp_path()
        try:
            self._make(result, file, f"{folder}/cluster.backup", passphrase, task_vars)
        finally:
            self._remove_tmp_path(folder)
        return result

    def _make(
        self, result: Object, file: Path, there: str, passphrase: str, task_vars: Any
    ) -> None:
        from kubeinstall.errors import KubeinstallError
        from kubeinstall.provision.backup import verify_backup

        arguments = {"path": there, "passphrase": passphrase}
        answer = self._execute_module(
            module_name="kubeinstall.cluster.backup_here",
            module_args=arguments,
            task_vars=task_vars,
        )
        answer.pop("invocation", None)
        result.update(answer)
        if answer.get("failed"):
            return
        partial = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            self._connection.fetch_file(there, str(partial))
            partial.chmod(0o600)
            verify_backup(partial, passphrase.encode())
            partial.rename(file)
        except (KubeinstallError, OSError) as error:
            result.update(
                failed=True, msg=f"the backup was made, and cannot be brought here: {error}"
            )
        finally:
            partial.unlink(missing_ok=True)
        result["changes"] = [f"write {file}"]

    def _passphrase(self) -> str:
        from kubeinstall.provision.backup.passphrase import read_passphrase

        path = self._task.args.get("passphrase_file")
        if path:
            return read_passphrase(Path(path)).decode()
        return str(self._task.args.get("passphrase") or "")


def _require_room(file: Path) -> None:
    from kubeinstall.provision.backup.manifest import BackupError

    if file.exists():
        raise BackupError(f"{file}: is there already")
    if not file.parent.is_dir():
        raise BackupError(f"{file.parent}: is no directory")
