"""Reading an inventory as Ansible reads it, and saying where a wrong variable stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubeinstall.ansible.inventory.derive import configuration_of
from kubeinstall.ansible.inventory.model import GROUPS, Inventory, read_inventory
from kubeinstall.ansible.inventory.validate import Finding, problems
from kubeinstall.config import ConfigError, Problem
from kubeinstall.errors import KubeinstallError

Object = dict[str, Any]

_LEFT_OUT = {".git", "__pycache__"}


@dataclass(frozen=True)
class Loaded:
    """A right inventory, and every host's configuration."""

    path: Path
    inventory: Inventory
    configs: dict[str, Object]


def load(path: Path) -> Loaded:
    """Read and check; ConfigError with every problem. No host is touched."""
    inventory = read(path)
    found = [_located(path, finding) for finding in problems(inventory)]
    if found:
        raise ConfigError(found)
    configs = {name: configuration_of(inventory, name) for name in inventory.hosts}
    _check_components(path, inventory, configs)
    return Loaded(path, inventory, configs)


def read(path: Path) -> Inventory:
    """The inventory as it is; KubeinstallError when it cannot be read."""
    from ansible.errors import AnsibleError
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.vars.manager import VariableManager

    if not path.exists():
        raise KubeinstallError(
            f"{path}: no such inventory; make one with kubeinstall inventory init"
        )
    try:
        loader = DataLoader()
        manager = InventoryManager(loader=loader, sources=[str(path)])
        variables = VariableManager(loader=loader, inventory=manager)
        groups = {
            name: [h.name for h in manager.groups[name].get_hosts()]
            for name in GROUPS
            if name in manager.groups
        }
        names = dict.fromkeys(name for members in groups.values() for name in members)
        hosts = {
            name: _plain(variables.get_vars(host=manager.get_host(name), include_hostvars=False))
            for name in names
        }
    except AnsibleError as error:
        raise KubeinstallError(f"{path}: cannot be read as an inventory: {error}") from error
    return read_inventory(groups, hosts)


def _plain(value: Any) -> Any:
    """Without Ansible's own string and mapping types, which JSON Schema and YAML do not know."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return str(value)
    return value


def _check_components(path: Path, inventory: Inventory, configs: dict[str, Object]) -> None:
    """extraArgs as the components will read them, which needs the whole configuration."""
    from kubeinstall.config import InitConfig
    from kubeinstall.provision.checks import check_settings

    name = next(iter(inventory.control_planes))
    config = configs[name]
    try:
        check_settings(
            InitConfig(config["init"], config["cluster"], config["kubelet"], config["proxy"])
        )
    except ConfigError as error:
        found = [
            _located(
                path,
                Finding(
                    "", "kubeinstall_cluster", f"{p.field}: {p.message}" if p.field else p.message
                ),
            )
            for p in error.problems
        ]
        raise ConfigError(found) from error


def _located(path: Path, finding: Finding) -> Problem:
    source, line = _where(path, finding)
    field = ": ".join(part for part in (finding.host, finding.variable) if part)
    return Problem(source, line, field, finding.message)


def _where(path: Path, finding: Finding) -> tuple[str, int]:
    """File and line of a variable: of the host's own file first, then of a group's, then of the inventory."""
    wanted = finding.variable or finding.host
    if not wanted:
        return str(path), 0
    pattern = re.compile(rf"""^[\s{{,-]*["']?{re.escape(wanted)}["']?\s*[:=]""")
    for file in _files(path, finding.host):
        within = not finding.host or file.stem == finding.host or "host_vars" not in file.parts
        for number, line in (
            enumerate(file.read_text(errors="replace").splitlines(), 1) if within else ()
        ):
            if pattern.match(line):
                return str(file), number
    return str(path), 0


def _files(path: Path, host: str) -> Iterator[Path]:
    if path.is_file():
        folder, own = path.parent, [path]
    else:
        folder = path
        own = sorted(p for p in path.iterdir() if p.is_file())
    for name in (f"host_vars/{host}", "group_vars"):
        for file in sorted(folder.glob(f"{name}*/**/*")) + sorted(folder.glob(f"{name}.*")):
            if file.is_file() and not _LEFT_OUT & set(file.parts):
                yield file
    yield from own
