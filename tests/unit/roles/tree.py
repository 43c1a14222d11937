"""The roles, playbooks and modules of this tree, read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
PLUGINS = ROOT / "kubeinstall/ansible/ansible_collections/kubeinstall/cluster/plugins"
MODULES = sorted((PLUGINS / "modules").glob("*.py"))
ACTIONS = sorted((PLUGINS / "action").glob("*.py"))
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
SCENARIOS = sorted(path.parent for path in (ROOT / "molecule").glob("*/molecule.yml"))
#: Task files of roles, and plays, which hold tasks too.
TASK_FILES = [
    *sorted((ROOT / "roles").glob("*/tasks/*.yml")),
    *sorted((ROOT / "roles").glob("*/handlers/*.yml")),
    *PLAYBOOKS,
    *sorted((ROOT / "molecule").glob("*/*.yml")),
]

#: What a task may hold beside the name of its module.
KEYWORDS = frozenset(
    (
        "any_errors_fatal",
        "args",
        "async",
        "become",
        "become_exe",
        "become_flags",
        "become_method",
        "become_user",
        "changed_when",
        "check_mode",
        "debugger",
        "delay",
        "delegate_facts",
        "delegate_to",
        "diff",
        "environment",
        "failed_when",
        "ignore_errors",
        "ignore_unreachable",
        "listen",
        "loop",
        "loop_control",
        "module_defaults",
        "name",
        "no_log",
        "notify",
        "poll",
        "port",
        "register",
        "remote_user",
        "retries",
        "run_once",
        "tags",
        "throttle",
        "timeout",
        "until",
        "vars",
        "when",
    )
)
BLOCKS = ("block", "rescue", "always")
SECTIONS = ("tasks", "pre_tasks", "post_tasks", "handlers")


def load(path: Path) -> Any:
    """A YAML file; None when it is not there."""
    return yaml.safe_load(path.read_text()) if path.exists() else None


def tasks(path: Path) -> Iterator[dict[str, Any]]:
    """Every task of a task file or playbook, those in blocks too."""
    for entry in load(path) or []:
        if isinstance(entry, dict):
            yield from _flat(entry)


def _flat(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    inner = [task for key in (*BLOCKS, *SECTIONS) for task in entry.get(key) or ()]
    if "hosts" not in entry and "ansible.builtin.import_playbook" not in entry:
        yield entry
    for task in inner:
        yield from _flat(task)


def module_of(task: dict[str, Any]) -> str:
    """The module that a task names; empty for a block."""
    return next((key for key in task if key not in KEYWORDS and key not in BLOCKS), "")
