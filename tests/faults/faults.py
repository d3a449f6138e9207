"""What goes wrong, one function a kind. Each returns once the trouble is over and the process it befell is ready again."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass

from deploy.local import lifecycle
from deploy.local.s3 import BUCKET
from tests.faults.kafka import Kafka, Places
from tests.faults.plan import Fault
from tests.faults.scheduled import pass_hours
from tests.faults.stack import SESSION_SECONDS, FaultStack
from tests.store_door import StoreDoor

JUMP_HOURS = 2
EXIT_SECONDS_MAX = 10.0
REPEATED_MAX = 12
FROZEN_SECONDS = SESSION_SECONDS + 1.5
REFUSALS = {"refuse": (403, "AccessDenied"), "full": (507, "InsufficientStorage")}


@dataclass
class Befallen:
    """A fault as it happened; seconds count from the round's start. `wrong`: what the process did that it must not do."""

    fault: Fault
    begun: float = 0.0
    ended: float = 0.0
    late: bool = False  # the moment didn't come in time, so the fault came without it
    wrong: str = ""
    note: str = ""


class Faults:
    """Makes things go wrong in a stack. `since`: where the round begins in each topic."""

    def __init__(self, stack: FaultStack, kafka: Kafka, since: Places, seed: int) -> None:
        self._stack, self._kafka, self._since, self._seed = stack, kafka, since, seed
        self._ways: dict[str, Callable[[Befallen], None]] = {
            "kill": self._kill, "crash": self._kill, "freeze": self._freeze, "stop": self._stop, "restart": self._restart,
            "cut": self._cut, "hang": self._hang, "slow": self._slow, "repeat": self._repeat, "jump": self._jump,
            "refuse": self._say_no, "full": self._say_no,
        }  # fmt: skip

    def befall(self, befallen: Befallen) -> None:
        self._ways[befallen.fault.kind](befallen)

    def _kill(self, befallen: Befallen) -> None:
        """kill -9. The supervisor starts it again."""
        name = befallen.fault.target
        pid = self._signal(name, signal.SIGKILL)
        self._another(befallen, name, pid, 30)

    def _stop(self, befallen: Befallen) -> None:
        """SIGTERM: it must be gone within ten seconds. The supervisor starts it again."""
        name = befallen.fault.target
        started = time.monotonic()
        pid = self._signal(name, signal.SIGTERM)
        while _lives(pid):
            if time.monotonic() > started + EXIT_SECONDS_MAX + 1:
                befallen.wrong = f"{name} still ran {EXIT_SECONDS_MAX:.0f} s after SIGTERM"
                self._signal(name, signal.SIGKILL)
                break
            time.sleep(0.02)
        befallen.note = f"left after {time.monotonic() - started:.1f} s"
        self._another(befallen, name, pid, 30)

    def _freeze(self, befallen: Befallen) -> None:
        """SIGSTOP until Kafka and leases have given it up, then SIGCONT."""
        name = befallen.fault.target
        pid = self._signal(name, signal.SIGSTOP)
        try:
            threading.Event().wait(FROZEN_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._ready(befallen, name)

    def _restart(self, befallen: Befallen) -> None:
        """An orderly stop and start of a dependency."""
        name = befallen.fault.target
        lifecycle.stop(self._stack.state, [name])
        lifecycle.start(self._stack.state, [name])
        self._ready(befallen, name)

    def _cut(self, befallen: Befallen) -> None:
        assert self._stack.network
        with self._stack.network.cut(befallen.fault.target):
            threading.Event().wait(befallen.fault.seconds)

    def _hang(self, befallen: Befallen) -> None:
        assert self._stack.network
        with self._stack.network.hang(befallen.fault.target, befallen.fault.seconds):
            threading.Event().wait(befallen.fault.seconds)

    def _slow(self, befallen: Befallen) -> None:
        assert self._stack.network
        with self._stack.network.slow(befallen.fault.target):
            threading.Event().wait(befallen.fault.seconds)

    def _say_no(self, befallen: Befallen) -> None:
        """Whatever is written into the store is answered with a refusal; reading and deleting go on."""
        assert self._stack.network
        status, code = REFUSALS[befallen.fault.kind]
        with closing(StoreDoor(self._stack.ports["s3"])) as door, door.refusing(f"/{BUCKET}/", status, code) as refused:
            with self._stack.network.by_way_of(befallen.fault.target, door.port):
                threading.Event().wait(befallen.fault.seconds)
            befallen.note = f"{len(refused)} refused"

    def _repeat(self, befallen: Befallen) -> None:
        """Messages of the round that lie in a topic are published again, the older ones not always first: same partition, key, headers and body."""
        topic = befallen.fault.target
        found = self._kafka.read(topic, self._since)
        draw = random.Random(f"{self._seed} {befallen.fault}")
        chosen = draw.sample(found, min(len(found), REPEATED_MAX))
        self._kafka.publish_again(chosen)
        befallen.note = f"{len(chosen)} messages"

    def _jump(self, befallen: Befallen) -> None:
        """Hours pass at once: all that the round's schedule has comes to lie so much earlier."""
        pass_hours(self._stack.env["WAYBILL_DATABASE_URL"], self._seed, JUMP_HOURS)

    # ---- processes

    def _signal(self, name: str, number: signal.Signals) -> int:
        """Send it to the process, which is waited for where it is just being started; returns its pid."""
        while True:
            pid = self._stack.pid(name)
            if pid is not None and _lives(pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
                    return pid
            time.sleep(0.02)

    def _another(self, befallen: Befallen, name: str, pid: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (now := self._stack.pid(name)) == pid or now is None:
            if time.monotonic() > deadline:
                befallen.wrong = befallen.wrong or f"{name} was not started again within {seconds:.0f} s"
                return
            time.sleep(0.02)
        self._ready(befallen, name)

    def _ready(self, befallen: Befallen, name: str) -> None:
        if why := self._stack.wait_ready((name,)):
            befallen.wrong = befallen.wrong or why


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
