#!/usr/bin/python
"""Ansible module: kubeinstall itself on a host. The work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: runtime
short_description: Have kubeinstall's runtime on a host
description:
  - Unpacks an archive to C(/opt/kubeinstall) and switches to it. The host needs a shell and a mirror, no Python.
  - Refuses a host whose Python, machine or clock differs from the controller's.
  - Supports check mode.
options:
  path:
    description: The archive on the controller.
    type: path
    required: true
  id:
    description: Its identity.
    type: str
    required: true
  python:
    description: The Python version it is for.
    type: str
    required: true
  machine:
    description: The machine it is for, as C(uname -m) says it.
    type: str
    required: true
  images:
    description: Image archives that a host without runtime is given, so that it need not make them.
    type: list
    elements: path
    default: []
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Bring the runtime
  kubeinstall.cluster.runtime: "{{ kubeinstall_planned.archive }}"
"""

RETURN = r"""
present:
  description: Whether the runtime is there now.
  type: bool
  returned: success
"""
