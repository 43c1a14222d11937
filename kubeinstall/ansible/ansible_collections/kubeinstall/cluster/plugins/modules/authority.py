#!/usr/bin/python
"""Ansible module: one step of replacing a cluster's authorities, on one host."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible import followed, replacement
from kubeinstall.ansible.bootstrap import ensure_discovery
from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.pki.replacement import Stage

DOCUMENTATION = r"""
module: authority
short_description: One step of replacing a cluster's authorities
description:
  - C(begin) returns private keys; use it and C(place) with C(no_log).
  - Supports check mode.
options:
  config:
    description: The host's complete configuration, as C(plan) derives it.
    type: dict
    required: true
  step:
    description:
      - C(look) says what waits on the host; C(require) fails when the cluster has other nodes than C(nodes).
      - C(begin) makes the new authorities, C(place) has them wait on the others.
      - C(trust), C(issue) and C(drop) bring the host to that stage.
      - C(tell) has hosts that will join told of it.
      - C(trusted) waits until pods trust the new authority, C(renewed) until they have tokens of the new key.
      - C(secrets) has tokens that do not end issued afresh.
      - C(end) leaves nothing waiting.
    type: str
    choices: [look, require, begin, place, trust, issue, drop, tell, trusted, renewed, secrets, end]
    required: true
  names:
    description: Which authorities; all if empty.
    type: list
    elements: str
    default: []
  files:
    description: The new authorities, base64.
    type: dict
    default: {}
  authority:
    description: The new ca.crt, PEM; empty when it is not replaced.
    type: str
    default: ""
  retired:
    description: Ids of the service-account keys that go.
    type: list
    elements: str
    default: []
  nodes:
    description: Names of the nodes that take part, for C(require).
    type: list
    elements: str
    default: []
  others:
    description: The other control planes.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait for pods.
    type: int
    default: 300
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Trust the new authorities
  kubeinstall.cluster.authority:
    step: trust
    config: "{{ kubeinstall_config }}"
"""

RETURN = r"""
waiting:
  description: Names of the new authorities that wait on the host.
  type: list
  elements: str
  returned: step is look
names:
  description: Names of the authorities that are replaced.
  type: list
  elements: str
  returned: step is begin
files:
  description: File to its content, base64. Secret.
  type: dict
  returned: step is begin
authority:
  description: The new ca.crt.
  type: str
  returned: step is begin
retired:
  description: Ids of the service-account keys that go.
  type: list
  elements: str
  returned: step is begin
"""

_STAGES = {"trust": Stage.TRUST, "issue": Stage.ISSUE, "drop": Stage.DROP}
SPEC: dict[str, Any] = {
    "config": {"type": "dict", "required": True},
    "step": {
        "type": "str",
        "required": True,
        "choices": [
            "look",
            "require",
            "begin",
            "place",
            *_STAGES,
            "tell",
            "trusted",
            "renewed",
            "secrets",
            "end",
        ],
    },
    "names": {"type": "list", "elements": "str", "default": []},
    "files": {"type": "dict", "default": {}, "no_log": True},
    "authority": {"type": "str", "default": ""},
    "retired": {"type": "list", "elements": "str", "default": []},
    "nodes": {"type": "list", "elements": "str", "default": []},
    "others": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 300},
}


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """The step."""
    step, config, seconds = params["step"], params["config"], params["timeout"]
    if step in _STAGES:
        authority, others = params["authority"], params["others"]
        return replacement.reach(config, _STAGES[step], authority, others, check=check)
    if step in ("trusted", "renewed", "secrets"):
        return _followed(params, check, seconds)
    match step:
        case "look":
            return replacement.look(config)
        case "require":
            replacement.require_all(params["nodes"])
            return Outcome()
        case "begin":
            return replacement.begin(config, params["names"], check=check)
        case "place":
            return replacement.place(config, params["files"], check=check)
        case "tell":
            return Outcome() if check else ensure_discovery(config)
        case _:
            return replacement.end(config, check=check)


def _followed(params: dict[str, Any], check: bool, seconds: float) -> Outcome:
    if params["step"] == "trusted":
        wanted = params["authority"] and not check
        return followed.await_trust(params["authority"], seconds) if wanted else Outcome()
    if not params["retired"]:
        return Outcome()
    if params["step"] == "secrets":
        return followed.renew_secrets(params["retired"], seconds, check=check)
    return Outcome() if check else followed.await_tokens(params["retired"], seconds)


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
