"""A line for everything that takes more than two seconds, and silence for the rest."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 2.0
REPEAT_SECONDS = 10.0


def say(line: str) -> None:
    print(line, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Tell that `what` is going on once it has taken two seconds, again every ten, and how long it took."""
    started = time.monotonic()
    done = threading.Event()

    def tell() -> None:
        wait = PATIENCE_SECONDS
        while not done.wait(wait):
            say(f"… {what} ({time.monotonic() - started:.0f} s)")
            wait = REPEAT_SECONDS

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
    took = time.monotonic() - started
    if took > PATIENCE_SECONDS:
        say(f"✓ {what}: {took:.1f} s")
