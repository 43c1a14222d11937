"""Ansible callback: this run ends with the command that started it, even when that is killed.

Else it would go on unseen, while the next run (which finds the inventory's lock free) works on the same hosts.
"""

from __future__ import annotations

import ctypes
import os
import signal

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: bound
type: aggregate
short_description: End with the process that started the run
description:
  - Has the kernel interrupt Ansible when its parent ends.
requirements:
  - Linux
author:
  - kubeinstall
"""

_PR_SET_PDEATHSIG = 1
#: Process id of the command that runs the playbook.
PARENT = "KUBEINSTALL_CONTROLLER"


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    """Only its start matters."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kubeinstall.cluster.bound"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        parent = os.environ.get(PARENT, "")
        if not parent:
            return
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != int(parent):  # it ended before the kernel was told
            os.kill(os.getpid(), signal.SIGINT)
