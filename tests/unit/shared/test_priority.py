"""A thread that does bulk work steps back; the others of its process stay where they are."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from shared.priority import step_back


def _nice() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_only_the_thread_that_steps_back_has_a_lower_priority() -> None:
    before = _nice()
    with ThreadPoolExecutor(1, initializer=step_back) as bulk, ThreadPoolExecutor(1) as other:
        assert bulk.submit(_nice).result() > before
        assert other.submit(_nice).result() == before
    assert _nice() == before
