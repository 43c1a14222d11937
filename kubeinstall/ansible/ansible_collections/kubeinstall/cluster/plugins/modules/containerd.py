#!/usr/bin/python
"""Ansible module: configure and run containerd."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.containerd import Wanted
from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.outcome import Outcome
from kubeinstall.ansible.runtime_service import ensure_runtime

DOCUMENTATION = r"""
module: containerd
short_description: Configure and run containerd
description:
  - Merges what Kubernetes needs into the configuration, and restarts only for a change.
  - Supports check mode and diff.
options:
  sandbox_image:
    description: Image of pod sandboxes.
    type: str
    required: true
  cni_bin_dir:
    description: Where CNI plugins are.
    type: path
    default: "/usr/lib/cni"
  cni_conf_dir:
    description: Where CNI configuration is.
    type: path
    default: "/etc/cni/net.d"
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Run containerd
  kubeinstall.cluster.containerd:
    sandbox_image: registry.k8s.io/pause:3.10
"""

RETURN = r"""
changes:
  description: What was changed, or in check mode would be, one sentence each.
  type: list
  elements: str
  returned: always
"""

SPEC: dict[str, Any] = {
    "sandbox_image": {"type": "str", "required": True},
    "cni_bin_dir": {"type": "path", "default": "/usr/lib/cni"},
    "cni_conf_dir": {"type": "path", "default": "/etc/cni/net.d"},
}


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """Configuration first, then a containerd that runs with it."""
    return ensure_runtime(Wanted(**params), check=check)


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
