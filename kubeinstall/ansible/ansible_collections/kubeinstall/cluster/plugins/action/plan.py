"""Ansible action: check the whole inventory and derive every host's configuration. Touches no host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

Object = dict[str, Any]


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Arguments: `bundle`, a file, or empty; `leaving`, hosts that are being taken off the cluster;
    `only_archive`, whatever the inventory says."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> Object:
        """Run once for all hosts."""
        result: Object = super().run(tmp, task_vars)
        try:
            return {**result, **self._plan(task_vars)}
        except ModuleNotFoundError as error:
            # Every module of ours needs it too, so that this is said first of all.
            message = (
                f"{error}: Ansible must run in the environment that kubeinstall is installed in; use its "
                "ansible-playbook, or pip install kubeinstall beside Ansible"
            )
            return {**result, "failed": True, "msg": message}

    def _plan(self, task_vars: Any) -> Object:
        from kubeinstall.ansible.inventory.model import GROUPS, read_inventory
        from kubeinstall.ansible.inventory.validate import problems
        from kubeinstall.errors import KubeinstallError
        from kubeinstall.provision.archive import runtime_archive

        archive = runtime_archive()
        facts = {
            "path": str(archive.path),
            "id": archive.id,
            "python": archive.python,
            "machine": archive.machine,
        }
        if self._task.args.get("only_archive"):
            return {"archive": facts}
        groups, hostvars = task_vars["groups"], task_vars["hostvars"]
        names = {name for group in GROUPS for name in groups.get(group, ())}
        inventory = read_inventory(groups, {name: dict(hostvars[name]) for name in names})
        found = problems(inventory)
        if found:
            lines = [": ".join(p for p in (f.host, f.variable, f.message) if p) for f in found]
            message = "the inventory is wrong; no host was touched:\n" + "\n".join(lines)
            return {"failed": True, "msg": message}
        staying = inventory.without(self._task.args.get("leaving") or ())
        try:
            return self._derive(staying, facts)
        except KubeinstallError as error:
            return {"failed": True, "msg": f"{error}\nNo host was touched."}

    def _derive(self, inventory: Any, archive: Object) -> Object:
        from kubeinstall.ansible.inventory.derive import configuration_of
        from kubeinstall.ansible.nodes import marks_of
        from kubeinstall.ansible.stages import needed_packages

        configs = {name: configuration_of(inventory, name) for name in inventory.hosts}
        wanted = dict.fromkeys(i for config in configs.values() for i in config["host"]["images"])
        bundle, debs, images = self._brought(list(wanted))
        return {
            "configs": configs,
            "marks": {
                name: marks_of(config)
                for name, config in configs.items()
                if "node" in config["host"]["roles"]
            },
            "archive": {**archive, "images": images, "debs": debs},
            "bundle": bundle,
            "packages": {
                name: {**needed_packages(config), **({"python3": "python3"} if bundle else {})}
                for name, config in configs.items()
            },
        }

    def _brought(self, wanted: list[str]) -> tuple[Object, str, list[str]]:
        """What the bundle is for, its packages, and archives of the wanted images."""
        from kubeinstall.provision.bundle import BundleError, open_bundle
        from kubeinstall.provision.ready_images import ready_images

        name = self._task.args.get("bundle") or ""
        if not name:
            return {}, "", [str(path) for path in ready_images(wanted)]
        bundle = open_bundle(Path(name))
        lacking = [image for image in wanted if image not in bundle.images]
        if lacking:
            raise BundleError(
                f"{name}: has no image {', '.join(lacking)}, which kubeinstall_images names; it has "
                f"{', '.join(bundle.images)}"
            )
        manifest = bundle.manifest
        facts = {
            "codename": manifest.codename,
            "architecture": manifest.architecture,
            "python": manifest.python,
        }
        return facts, str(bundle.debs), [str(bundle.images[image]) for image in wanted]
