"""Ansible action: kubeinstall itself on a host, and what else it is brought. Nothing is done where all is there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from kubeinstall.ansible.remote_runtime import (
    DEBS,
    HOME,
    IMAGES,
    INSTALL_PYTHON,
    PREVIEW,
    PYTHON,
    STATE,
    end_preview_script,
    install_debs_script,
    preview_script,
    probe_script,
    read_probe,
    shell,
    unpack_script,
)
from kubeinstall.ansible.transfer import uploaded
from kubeinstall.errors import KubeinstallError

Object = dict[str, Any]


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Arguments: `path`, `id`, `python` of the archive; `images`, archives to lay on the host; `debs`, an archive of
    Debian packages; `found`, what the `look` action said; `removed`, hosts that were taken off the cluster; `aside`,
    to have the runtime for this run only; `clean`, to remove such a one instead."""

    TRANSFERS_FILES = False  # by a folder of its own, see `transfer`
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> Object:
        """Bring what is missing."""
        result: Object = super().run(tmp, task_vars)
        result.update(changed=False, changes=[], present=True, interpreter=PYTHON)
        try:
            if self._task.args.get("clean"):
                self._execute(end_preview_script(), f"{PREVIEW} cannot be removed")
                return result
            return self._bring(result, task_vars)
        except KubeinstallError as error:
            result.update(failed=True, msg=str(error))
            return result

    def _bring(self, result: Object, task_vars: Any) -> Object:
        archive = self._task.args
        found = archive.get("found") or self._look()
        if archive.get("aside"):
            return result if found["runtime"] else self._preview(result, found, present=False)
        host = task_vars["inventory_hostname"]
        if not found["runtime"] and host in (archive.get("removed") or ()):
            raise KubeinstallError(
                f"{host} was taken off the cluster by `kubeinstall node remove`. Take it out of the inventory, or have "
                f"it back with `kubeinstall apply --limit {host}`"
            )
        images = [i for i in archive.get("images") or () if Path(i).name not in found["images"]]
        debs = archive.get("debs") if found["missing"] else ""
        present = found["runtime"] == archive["id"]
        if present and not debs:
            return result
        changes = result["changes"]
        if not found["python"]:
            changes.append("install python3")
        if not present:
            changes.append(f"install runtime {archive['id']} in {HOME}")
        result["changed"] = bool(changes)
        if self._task.check_mode:
            return self._preview(result, found, present=present)
        if not debs and found["runtime"]:
            images = []  # it has made its own
        files = [*([debs] if debs else []), *images, *([] if present else [archive["path"]])]
        with uploaded(self, *files) as folder:
            for script, trouble in self._steps(folder, images, debs, found, present=present):
                self._execute(script, trouble)
        return result

    def _steps(
        self, folder: str, images: list[str], debs: str, found: Object, *, present: bool
    ) -> Iterator[tuple[str, str]]:
        """Scripts to run where `folder` holds what was uploaded, and what is said when one fails."""
        archive, names = self._task.args, [shlex.quote(Path(image).name) for image in images]
        script = f"set -e; rm -rf {PREVIEW}; mkdir -p {HOME} {IMAGES}"
        if names:
            script += f"; cd {folder}; install -m 644 {' '.join(names)} {IMAGES}"
        if debs:
            source = f"{folder}/{Path(debs).name}"
            script += f"; rm -rf {DEBS}; tar -xf {source} -C {STATE} --no-same-owner"
        yield script, "what was uploaded cannot be laid down"
        if not found["python"]:
            script = install_debs_script(["python3"]) if debs else INSTALL_PYTHON
            yield script, "python3 cannot be installed"
        if not present:
            source = f"{folder}/{Path(archive['path']).name}"
            script = unpack_script(archive["id"], archive["python"], source)
            yield script, "the runtime cannot be unpacked"

    def _preview(self, result: Object, found: Object, *, present: bool) -> Object:
        """A dry run on a host without the runtime: it is unpacked aside, for this run only, so that what would change
        is told by the very code that would change it. Without Python there is nothing to tell it."""
        archive = self._task.args
        if present:
            return result
        if not found["python"]:
            result.update(present=False, warnings=[_NO_PYTHON])
            return result
        self._execute(f"rm -rf {PREVIEW}; mkdir -m 700 {PREVIEW}", f"{PREVIEW} cannot be made")
        with uploaded(self, archive["path"]) as folder:
            source = f"{folder}/{Path(archive['path']).name}"
            script = preview_script(archive["id"], archive["python"], source)
            self._execute(script, "the runtime cannot be unpacked for a dry run")
        result.update(preview=True, interpreter=f"{PREVIEW}/{archive['id']}/bin/python")
        return result

    def _look(self) -> Object:
        from dataclasses import asdict

        answer = self._execute(probe_script(), "the host cannot be looked at")
        probe = read_probe(answer.get("stdout") or "")
        if probe is None:
            raise KubeinstallError("the host's shell gave no sensible answer")
        return asdict(probe)

    def _execute(self, script: str, trouble: str) -> Object:
        answer: Object = self._low_level_execute_command(shell(script), sudoable=True)
        if answer.get("rc"):
            said = (answer.get("stderr") or answer.get("stdout") or "").strip()
            raise KubeinstallError(f"{trouble}\n{said}".strip())
        return answer


_NO_PYTHON = (
    "the host has no Python, so that a dry run cannot look further: besides this it gets all that hosts of its "
    "groups get"
)
