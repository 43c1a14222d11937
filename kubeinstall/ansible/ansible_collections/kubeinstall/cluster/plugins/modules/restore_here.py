#!/usr/bin/python
"""Ansible module: a step of restoring a cluster on a host."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.outcome import Outcome

DOCUMENTATION = r"""
module: restore_here
short_description: A step of restoring a cluster on a host
description:
  - What C(restore) does on the host; use that.
  - Supports check mode.
options:
  step:
    description: See C(restore).
    type: str
    choices: [clear, place, placed, settle, done]
    required: true
  config:
    description: The host's complete configuration.
    type: dict
    required: true
  nodes:
    description: For C(settle), names of the nodes to wait for.
    type: list
    elements: str
    default: []
  id:
    description: Names the restore.
    type: str
    default: ""
  files:
    description: For C(place), authorities by name, base64.
    type: dict
    default: {}
  extras:
    description: For C(place), other files by path, base64.
    type: dict
    default: {}
  database:
    description: For C(place), the datastore, a file on the host that is used up.
    type: path
    default: ""
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Stop what runs, and put its data aside
  kubeinstall.cluster.restore_here:
    step: clear
    config: "{{ kubeinstall_config }}"
    id: "{{ restore_opened.backup.id }}"
"""

RETURN = r"""
changes:
  description: What was changed, or in check mode would be, one sentence each.
  type: list
  elements: str
  returned: always
"""

SPEC: dict[str, Any] = {
    "step": {
        "type": "str",
        "required": True,
        "choices": ["clear", "place", "placed", "settle", "done"],
    },
    "config": {"type": "dict", "required": True},
    "nodes": {"type": "list", "elements": "str", "default": []},
    "id": {"type": "str", "default": ""},
    "files": {"type": "dict", "default": {}, "no_log": True},
    "extras": {"type": "dict", "default": {}, "no_log": True},
    "database": {"type": "path", "default": ""},
}


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """The step."""
    from kubeinstall.provision.backup import putting

    config, identity = params["config"], params["id"]
    match params["step"]:
        case "clear":
            return putting.clear(config, identity, check=check)
        case "place":
            files, extras = params["files"], params["extras"]
            return putting.place(config, identity, files, extras, params["database"], check=check)
        case "placed":
            return putting.note_placed(identity, check=check)
        case "settle":
            return putting.settled(params["nodes"], check=check)
        case _:
            return putting.done(config, check=check)


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
