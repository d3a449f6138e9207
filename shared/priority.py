"""Bulk work steps back: on a busy machine the scheduler lets whatever somebody waits for go first."""

import contextlib
import os
import sys
import threading

_NICE = 10


def step_back() -> None:
    """Lower the calling thread's priority, for good. Linux keeps one for each thread; elsewhere nothing happens."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
