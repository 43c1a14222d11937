#!/usr/bin/python
"""Ansible module: when a host's certificates end, and renewing them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible import paths, renewal
from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.identity import identity_of
from kubeinstall.ansible.outcome import Outcome

DOCUMENTATION = r"""
module: renewal
short_description: When a host's certificates end, and renewing them
description:
  - What uses a renewed certificate is restarted, and every port is asked for the serial that it shows.
  - Supports check mode.
options:
  config:
    description: The host's complete configuration, as C(plan) derives it.
    type: dict
    required: true
  state:
    description: C(told) returns when each ends; C(renewed) issues them afresh.
    type: str
    choices: [told, renewed]
    required: true
  names:
    description: Which, by kubeadm's names; all that are there if empty.
    type: list
    elements: str
    default: []
  within:
    description: Only those that end within this duration, such as C(720h); empty for all.
    type: str
    default: ""
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Renew what ends within 30 days
  kubeinstall.cluster.renewal:
    state: renewed
    within: 720h
    config: "{{ kubeinstall_config }}"
"""

RETURN = r"""
certificates:
  description: Name, end, authority, whether it is an authority, and whether it is kept elsewhere.
  type: list
  elements: dict
  returned: state is told
renewed:
  description: Names of the certificates that were renewed.
  type: list
  elements: str
  returned: state is renewed
"""

SPEC: dict[str, Any] = {
    "config": {"type": "dict", "required": True},
    "state": {"type": "str", "choices": ["told", "renewed"], "required": True},
    "names": {"type": "list", "elements": "str", "default": []},
    "within": {"type": "str", "default": ""},
}


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """Tell, or renew."""
    config = params["config"]
    if params["state"] == "renewed":
        return renewal.renew_host(config, params["names"], params["within"], check=check)
    pki = Path(config["cluster"]["certificatesDir"])
    entries = [
        {
            "name": item.name,
            "ends": item.not_after.timestamp(),
            "authority": item.authority,
            "is_authority": item.is_authority,
            "external": item.externally_managed,
        }
        for item in renewal.present(paths.KUBERNETES, pki, identity_of(config))
        if item.not_after is not None
    ]
    host = config["init"]["nodeRegistration"]["name"]
    return Outcome(facts={"certificates": entries, f"certificates of {host}": entries})


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
