#!/usr/bin/python
"""Ansible module: kubeinstall itself on a host. The work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: runtime
short_description: Have kubeinstall's runtime on a host
description:
  - Unpacks an archive to C(/opt/kubeinstall) and switches to it. The host needs a shell, no Python.
  - In check mode the archive is unpacked aside, so that a dry run can look further; C(clean) removes that again.
options:
  path:
    description: The archive on the controller.
    type: path
  id:
    description: Its identity.
    type: str
  python:
    description: The Python version it is for.
    type: str
  machine:
    description: The machine it is for, as C(uname -m) says it.
    type: str
  images:
    description: Image archives that a host is given, so that it need not make them.
    type: list
    elements: path
    default: []
  debs:
    description: Archive of Debian packages for a host without a mirror; empty for the mirror.
    type: path
  found:
    description: What the C(look) module said of the host; it is asked again if this is not given.
    type: dict
    default: {}
  removed:
    description: Hosts that were taken off the cluster. A bare host among them is refused.
    type: list
    elements: str
    default: []
  aside:
    description: On a host that has no runtime, have one for this run only.
    type: bool
    default: false
  clean:
    description: Only remove what was unpacked for a run only.
    type: bool
    default: false
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Bring the runtime
  kubeinstall.cluster.runtime: "{{ kubeinstall_planned.archive }}"
"""

RETURN = r"""
present:
  description: Whether what follows can be run on the host.
  type: bool
  returned: success
interpreter:
  description: The Python that has kubeinstall.
  type: str
  returned: success
preview:
  description: Whether that is only there for a dry run.
  type: bool
  returned: when it is
"""
