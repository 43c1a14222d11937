"""Ansible action: check the whole inventory and derive every host's configuration. Touches no host."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """No arguments. Returns `configs` (host → configuration) and `archive`."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Run once for all hosts."""
        from kubeinstall.ansible.inventory.derive import configuration_of
        from kubeinstall.ansible.inventory.model import GROUPS, read_inventory
        from kubeinstall.ansible.inventory.validate import problems
        from kubeinstall.ansible.nodes import marks_of
        from kubeinstall.provision.archive import runtime_archive
        from kubeinstall.provision.ready_images import ready_images

        result: dict[str, Any] = super().run(tmp, task_vars)
        groups, hostvars = task_vars["groups"], task_vars["hostvars"]
        names = {name for group in GROUPS for name in groups.get(group, ())}
        inventory = read_inventory(groups, {name: dict(hostvars[name]) for name in names})
        found = problems(inventory)
        if found:
            lines = [": ".join(p for p in (f.host, f.variable, f.message) if p) for f in found]
            result.update(
                failed=True, msg="the inventory is wrong; no host was touched:\n" + "\n".join(lines)
            )
            return result
        archive = runtime_archive()
        result["configs"] = {name: configuration_of(inventory, name) for name in inventory.hosts}
        result["marks"] = {
            name: marks_of(config)
            for name, config in result["configs"].items()
            if "node" in config["host"]["roles"]
        }
        wanted = dict.fromkeys(i for c in result["configs"].values() for i in c["host"]["images"])
        result["archive"] = {
            "path": str(archive.path),
            "id": archive.id,
            "python": archive.python,
            "machine": archive.machine,
            "images": [str(path) for path in ready_images(wanted)],
        }
        return result
