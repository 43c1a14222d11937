#!/usr/bin/python
"""Ansible module: one stage of a host in a cluster of several."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible import etcd, removed, stages
from kubeinstall.ansible.bootstrap import ensure_cluster
from kubeinstall.ansible.entry import only_one, run_module
from kubeinstall.ansible.outcome import Outcome

DOCUMENTATION = r"""
module: host
short_description: One stage of a host in a cluster of several
description:
  - Does in one call what the roles of a single host do in many, since each call costs.
  - Supports check mode and diff.
options:
  config:
    description: The host's complete configuration, as C(plan) derives it.
    type: dict
    required: true
  stage:
    description:
      - C(prepare) is what depends on no other host, C(serve) etcd and control plane, C(restart_etcd) one member's
        restart, C(found) the cluster's objects, C(keep) these and the nodes' marks where nothing else is to be done,
        C(join) the node's components, C(finish) waits for nodes.
    type: str
    choices: [prepare, serve, restart_etcd, found, keep, join, finish]
    required: true
  ignore:
    description: Preflight checks whose errors are only shown.
    type: list
    elements: str
    default: []
  files:
    description: Authorities to have, base64.
    type: dict
    default: {}
  etcd_new:
    description: Whether etcd is started for the first time.
    type: bool
    default: false
  token:
    description: Bootstrap token of this run; empty for none.
    type: str
    default: ""
  pair:
    description: Client certificate and its key, PEM, with which a node bootstraps that has no token; empty for none.
    type: str
    default: ""
  authority:
    description: The cluster's CA certificate, PEM.
    type: str
    default: ""
  nodes:
    description: Node to its labels and taints, for C(finish) and C(keep).
    type: dict
    default: {}
  leaving:
    description: Hosts that are being taken off the cluster, which control planes remember, for C(prepare).
    type: list
    elements: str
    default: []
  here:
    description: Hosts that take part, which are forgotten to have been taken off, for C(prepare).
    type: list
    elements: str
    default: []
  serving:
    description: Control planes whose API server ran when this run began.
    type: list
    elements: str
    default: []
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Prepare the host
  kubeinstall.cluster.host:
    stage: prepare
    config: "{{ kubeinstall_config }}"
"""

RETURN = r"""
changes:
  description: What was changed, or in check mode would be, one sentence each.
  type: list
  elements: str
  returned: always
"""

SPEC: dict[str, Any] = {
    "config": {"type": "dict", "required": True},
    "stage": {
        "type": "str",
        "required": True,
        "choices": ["prepare", "serve", "restart_etcd", "found", "keep", "join", "finish"],
    },
    "ignore": {"type": "list", "elements": "str", "default": []},
    "files": {"type": "dict", "default": {}, "no_log": True},
    "etcd_new": {"type": "bool", "default": False},
    "token": {"type": "str", "default": "", "no_log": True},
    "pair": {"type": "str", "default": "", "no_log": True},
    "authority": {"type": "str", "default": ""},
    "nodes": {"type": "dict", "default": {}},
    "leaving": {"type": "list", "elements": "str", "default": []},
    "here": {"type": "list", "elements": "str", "default": []},
    "serving": {"type": "list", "elements": "str", "default": []},
}


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """The stage."""
    with only_one(check=check):
        return _stage(params, check)


def _stage(params: dict[str, Any], check: bool) -> Outcome:
    config = stages.with_balancer(params["config"])
    match params["stage"]:
        case "prepare":
            outcome = stages.prepare(config, params["ignore"], check=check)
            outcome.extend(removed.remember(config, params["leaving"], params["here"], check=check))
            return outcome
        case "serve":
            return stages.serve(
                config,
                params["files"],
                etcd_new=params["etcd_new"],
                serving=params["serving"],
                check=check,
            )
        case "restart_etcd":
            return etcd.restart_etcd(config, check=check)
        case "found":
            return ensure_cluster(stages.with_token(config, params["token"]), check=check)
        case "keep":
            return stages.keep(config, params["nodes"], check=check)
        case "join":
            return stages.join(
                config, params["token"], params["authority"], params["pair"], check=check
            )
        case _:
            return stages.finish(config, params["nodes"], check=check)


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
