"""What the supervisor keeps alive: the document `/etc/kubernetes/supervisor.yaml`.

processes:
  - name: containerd
    command: [/usr/bin/containerd]
  - name: kube-apiserver
    command: [/opt/…/python, -m, kubeinstall, component, run, kube-apiserver]
    notify: true            # says READY=1 by sd_notify; otherwise it counts as ready once started
    environment: {KEY: value}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kubeinstall.errors import SettingsError


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process. Equal specs are the same process: a reload restarts only what differs."""

    name: str
    command: tuple[str, ...]
    notify: bool = False
    stop_seconds: float = 30.0
    environment: Mapping[str, str] = field(default_factory=dict)


def read_processes(path: Path) -> list[ProcessSpec]:
    """The processes of a supervisor document, in start order; `SettingsError` names file and field."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    items = document.get("processes") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise SettingsError(f"{path}: processes: required: a list of processes")
    specs = [_spec(item, f"{path}: processes[{index}]") for index, item in enumerate(items)]
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"{path}: processes: the name {name!r} is there twice")
    return specs


def _spec(item: Any, where: str) -> ProcessSpec:
    if not isinstance(item, dict):
        raise SettingsError(f"{where}: must be a mapping")
    unknown = set(item) - {"name", "command", "notify", "stop_seconds", "environment"}
    if unknown:
        raise SettingsError(f"{where}: unknown field {min(unknown)!r}")
    name, command = item.get("name"), item.get("command")
    if not isinstance(name, str) or not name or "/" in name:
        raise SettingsError(f"{where}.name: required: a name without slashes")
    if not isinstance(command, list) or not command:
        raise SettingsError(f"{where}.command: required: a list of words")
    return ProcessSpec(
        name,
        tuple(str(word) for word in command),
        bool(item.get("notify", False)),
        float(item.get("stop_seconds", 30.0)),
        {str(key): str(value) for key, value in (item.get("environment") or {}).items()},
    )
