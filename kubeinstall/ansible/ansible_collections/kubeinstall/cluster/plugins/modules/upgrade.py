#!/usr/bin/python
"""Ansible module: one step of changing a host's runtime. The work is done by the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: upgrade
short_description: One step of changing a host's runtime
description:
  - Works whatever version of kubeinstall the host has, and when that version is broken.
options:
  step:
    description:
      - C(look) tells what is there and whether it may be upgraded; C(bring) unpacks the archive beside what is in use;
        C(begin) notes that an upgrade is under way; C(switch) uses what was brought; C(done) takes the note away;
        C(back) uses the runtime before and restarts the components; C(drop) takes away what was brought and is not
        used; C(purge) leaves no runtime.
      - In check mode C(bring) is carried out too, since nothing but the new runtime can tell what it would change, and
        so is C(drop), with which a dry run ends.
    type: str
    choices: [look, bring, begin, switch, done, back, drop, purge]
    required: true
  archive:
    description: The runtime archive, as C(plan) returns it.
    type: dict
    default: {}
  force:
    description: Allow to skip minor versions and to go back.
    type: bool
    default: false
  only_tell:
    description: For C(look), tell why an upgrade is refused and do not fail.
    type: bool
    default: false
  at_end:
    description: For C(begin), C(uncordon) or C(leave).
    type: str
    default: ""
author:
  - kubeinstall
"""

EXAMPLES = r"""
- name: Look at the host
  kubeinstall.cluster.upgrade:
    step: look
    archive: "{{ bootstrap_plan.archive }}"
  register: upgrade_look
"""

RETURN = r"""
needed:
  description: Whether the host has another runtime, or its upgrade is not done.
  type: bool
  returned: step is look
current:
  description: The runtime in use, under C(runtime), C(version) and C(kubernetes).
  type: dict
  returned: step is look
"""
