#!/usr/bin/python
"""Ansible module: a step of rotating the keys that Secrets are stored with, on a control plane."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.outcome import Outcome

DOCUMENTATION = r"""
module: encryption
short_description: A step of rotating the keys that Secrets are stored with
description:
  - Use it by C(kubeinstall secrets-encryption), which has the steps in the only safe order.
  - Supports check mode, in which nothing is written.
options:
  step:
    description:
      - C(look) tells which keys there are, by fingerprint; C(status) also how many values each holds.
      - C(make) returns the changed file, which holds keys; C(place) writes it and restarts the API server.
      - C(reencrypt) writes every object again.
    type: str
    choices: [look, status, make, place, reencrypt]
    required: true
  host:
    description: For C(look) and C(status), the host's name in the inventory.
    type: str
    default: ""
  change:
    description: For C(make), what is to be changed; C(carry) is nothing.
    type: str
    choices: [add, carry, promote, drop]
    default: carry
  config:
    description: For C(place), the host's complete configuration.
    type: dict
    default: {}
  document:
    description: For C(place), what C(make) returned. Secret.
    type: str
    default: ""
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Look at the keys
  kubeinstall.cluster.encryption:
    step: look
    host: "{{ inventory_hostname }}"
"""

RETURN = r"""
document:
  description: The changed file. Secret.
  type: str
  returned: step is make
reencrypted:
  description: How many objects were written again.
  type: int
  returned: step is reencrypt
"""

SPEC: dict[str, Any] = {
    "step": {
        "type": "str",
        "required": True,
        "choices": ["look", "status", "make", "place", "reencrypt"],
    },
    "host": {"type": "str", "default": ""},
    "change": {
        "type": "str",
        "default": "carry",
        "choices": ["add", "carry", "promote", "drop"],
    },
    "config": {"type": "dict", "default": {}},
    "document": {"type": "str", "default": "", "no_log": True},
}


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """The step."""
    from kubeinstall.ansible import paths
    from kubeinstall.provision import secrets_encryption as work

    outcome = Outcome()
    match params["step"]:
        case "look" | "status":
            outcome.facts[f"keys of {params['host']}"] = work.fingerprints()
            if params["step"] == "status":
                found = work.status()
                outcome.facts["encryption"] = {
                    "path": str(found.path),
                    "entries": found.entries,
                    "stored": found.stored,
                }
        case "make":
            outcome.facts["document"] = "" if check else work.changed_text(params["change"])
        case "place":
            return work.place(params["config"], params["document"], check=check)
        case _:
            if not check:
                said: list[str] = []
                outcome.facts["reencrypted"] = work.reencrypt(paths.ADMIN, said.append)
                outcome.changes += said
    return outcome


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
