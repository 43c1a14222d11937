#!/usr/bin/python
"""Ansible module: have local images in containerd."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from kubeinstall.ansible.entry import run_module
from kubeinstall.ansible.image_store import ensure_images
from kubeinstall.ansible.outcome import Outcome

DOCUMENTATION = r"""
module: images
short_description: Have local images in containerd
description:
  - Builds them from Debian packages where containerd does not hold them yet.
  - Supports check mode and diff.
options:
  presets:
    description: Images to have, by preset.
    type: list
    elements: str
    required: true
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Have the sandbox image
  kubeinstall.cluster.images:
    presets: [pause]
"""

RETURN = r"""
changes:
  description: What was changed, or in check mode would be, one sentence each.
  type: list
  elements: str
  returned: always
"""

SPEC: dict[str, Any] = {
    "presets": {"type": "list", "elements": "str", "required": True},
}


def ensure(params: dict[str, Any], check: bool) -> Outcome:
    """Build and import what is missing."""
    return ensure_images(params["presets"], check=check)


if __name__ == "__main__":
    run_module(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)
