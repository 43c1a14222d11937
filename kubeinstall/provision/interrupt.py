"""Ctrl-C while Ansible runs: it is asked to end, and only killed when it does not."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

import psutil

_PATIENCE = 10.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Whether, and when first, somebody wanted the run to end."""

    def __init__(self) -> None:
        self._times: list[float] = []

    @property
    def asked(self) -> bool:
        """Whether the run was interrupted."""
        return bool(self._times)

    def kill(self) -> bool:
        """Whether Ansible is to be killed: asked twice, or not gone in time. (ansible-runner's cancel callback)"""
        return len(self._times) > 1 or (
            self.asked and time.monotonic() - self._times[0] > _PATIENCE
        )

    def note(self, _number: int, _frame: FrameType | None) -> None:
        """The signal handler. Ansible has a terminal of its own, so that a key pressed here does not reach it."""
        self._times.append(time.monotonic())
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.Error):
                if any("ansible-playbook" in word for word in child.cmdline()):
                    child.send_signal(signal.SIGINT)


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Take the signals for as long as the block lasts; elsewhere than in the main thread nothing is taken."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = [signal.signal(number, interrupt.note) for number in _SIGNALS]
    try:
        yield interrupt
    finally:
        for number, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(number, handler)
