"""Rounds of deliveries to destinations: real servers (OpenSSH's SFTP, an S3 store, an HTTP receiver, a mail server) behind a way on which anything can happen
at any byte, and delivery killed in the middle. `python -m tests.faults.bringing --help`; `make faults` plays one after each of its rounds.

What holds in the end: every file is there once, whole, with nothing half beside it; or the delivery has failed with the right word, and people were told.
And once what was wrong is over, a test passes, and what is asked for again arrives.
"""

import argparse
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.state import ROOT
from tests.faults import report
from tests.faults.arrived import GivenUp, Piece, There, judge_failed, judge_there
from tests.faults.asking import Asking, Body
from tests.faults.collect import new_organisation
from tests.faults.houses import SLOW_BYTES_A_SECOND, House, S3House, SftpHouse
from tests.faults.load import Organisation
from tests.faults.receivers import HANG_SECONDS, MailHouse, WebhookHouse
from tests.faults.stack import FaultStack, end_on_sigterm, revision
from tests.faults.troubles import INSIDE, MAILED, MESSAGE_BYTES, MESSAGES, Trouble, plan

PAUSES_AFTER = 3  # deliveries given up in a row


@contextmanager
def houses(stack: FaultStack) -> Iterator[dict[str, House]]:
    """One of each type."""
    opened: dict[str, House] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as closing:
        makers = (
            lambda: SftpHouse(_made(Path(folder) / "sftp")), lambda: S3House(Path(folder) / "s3"), WebhookHouse, lambda: MailHouse(stack.mail_port),
        )  # fmt: skip
        for make in makers:
            house = make()
            closing.callback(house.close)
            opened[house.type] = house
        yield opened


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@dataclass
class Befell:
    """What became of one trouble, for the log."""

    trouble: Trouble
    status: str
    seconds: float
    note: str = ""


@dataclass
class Round:
    """One organisation, its destinations, and one trouble after the other. `wrong`: what must not be."""

    stack: FaultStack
    houses: dict[str, House]
    organisation: Organisation
    seed: int
    destinations: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    befell: list[Befell] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """For a person."""
        told = [f"{each.trouble}: {each.status} after {each.seconds:.1f} s{each.note}" for each in self.befell]
        verdict = f"deliveries of seed {self.seed}: {'FAILED' if self.wrong else 'ok'}"
        return [verdict, *(f"    {line}" for line in told), *(f"    ✗ {line}" for line in self.wrong)]

    @property
    def org_id(self) -> str:
        return self.organisation.org_id

    @property
    def asking(self) -> Asking:
        return Asking(self.organisation.http)

    def set_up(self) -> None:
        channel = {"type": "channel", "id": "ch", "data": {"medium": "Web chat", "name": "W"}}
        conversation = {"type": "conversation", "id": "c", "data": {"channel_id": "ch", "created_at": "2026-03-15T09:00:00Z"}}
        messages = [
            {"type": "message", "id": f"m{n}", "data": {
                "conversation_id": "c", "created_at": f"2026-03-15T09:{n:02}:00Z", "sender": {"kind": "visitor"}, "content": os.urandom(MESSAGE_BYTES // 2).hex(),
            }}
            for n in range(MESSAGES)
        ]  # fmt: skip
        self.asking.ask("POST", "/v1/records", content="\n".join(map(json.dumps, [channel, conversation, *messages])).encode())
        for kind in sorted({trouble.type for trouble in plan(self.seed)}):
            self.destinations[kind] = self._destination(kind, self.stack.names.new())

    def befall(self, trouble: Trouble) -> None:
        """An export is brought while it happens; what is there then is judged, and again once it is over."""
        if trouble.kind == "pause":
            return self._pause(trouble)
        started, house = time.monotonic(), self.houses[trouble.type]
        before, twice_before, name = house.whole(self.org_id), house.twice(self.org_id), self.stack.names.new()
        destination = self._destination(trouble.type, name) if trouble.kind == "moves" else self.destinations[trouble.type]
        with self._happening(trouble, name) as came, house.refusing(trouble, self.org_id) as answered:
            export = self._exported(trouble, destination)
            delivery = self.asking.delivery_of(export["id"])
            has_come = came() and answered()
            if delivery["status"] != "delivered" or (trouble.stays and has_come):
                self._judge_failed(trouble, delivery, before, self._due(house, export))
        if trouble.kind == "key":  # its administrator says which one it has
            self.asking.ask(
                "PATCH", f"/v1/destinations/{destination}", json={"config": {"host_keys": house.config(self.org_id, name)["host_keys"]}}
            )
        status, code = delivery["status"], (delivery["error"] or {}).get("code")
        if status != "delivered":
            self._bring_the_rest(trouble, destination, delivery)
        note = f" ({code}), brought when it was over" if status != "delivered" else "" if has_come else ", which did not come to it"
        self._judge_there(trouble, [*before, *self._due(house, export)], twice_before)
        if again := house.twice(self.org_id).keys() - twice_before.keys():
            note += f"; came twice under one id: {len(again)}"
        self.befell.append(Befell(trouble, status, time.monotonic() - started, note))
        return None

    def _pause(self, trouble: Trouble) -> None:
        """Three are given up in a row: the destination is paused, people are told, and the next one is held. A test that passes sends it on."""
        started, house, destination = time.monotonic(), self.houses[trouble.type], self.destinations[trouble.type]
        before, twice_before = house.whole(self.org_id), house.twice(self.org_id)
        with house.refusing(trouble, self.org_id):
            exports = [self._exported(trouble, destination) for _ in range(PAUSES_AFTER)]
            given_up = [self.asking.delivery_of(each["id"]) for each in exports]
            for delivery in given_up:
                self._judge_failed(trouble, delivery, before, [])
            self.asking.until(
                lambda: self.asking.ask("GET", f"/v1/destinations/{destination}"),
                lambda found: found["paused"] is not None,
                "the destination",
            )
            self._say_unless(self.asking.is_told(destination), f"{trouble}: nobody was told that it is paused")
            exports.append(self._exported(trouble, destination))
            held = self.asking.delivery_of(exports[-1]["id"], "held")
        self._bring_the_rest(trouble, destination, *given_up)
        self.asking.delivery_of(held["export_id"])
        due = [piece for export in exports for piece in self._due(house, export)]
        self._judge_there(trouble, [*before, *due], twice_before)
        self.befell.append(Befell(trouble, "failed", time.monotonic() - started, ", paused, and brought when it was over"))

    # ---- the judge

    def _due(self, house: House, export: Body) -> list[Piece]:
        return house.due(self.org_id, [(each["name"], each["sha256"]) for each in export["files"]])

    def _judge_failed(self, trouble: Trouble, delivery: Body, before: list[Piece], due: list[Piece]) -> None:
        code, told = (delivery["error"] or {}).get("code"), self.asking.is_told(delivery["id"])
        house = self.houses[trouble.type]
        whole = house.whole(self.org_id) if trouble.kind != "away" else []
        half = self._half(house) if trouble.kind not in ("away", "moves") else []  # nobody gets there to take it away
        given_up = GivenUp(delivery["status"], code, told, whole, half)
        self.wrong += judge_failed(trouble, given_up, before, due)

    def _judge_there(self, trouble: Trouble, wanted: list[Piece], twice_before: dict[str, int]) -> None:
        house = self.houses[trouble.type]
        there = There(house.whole(self.org_id), house.twice(self.org_id), self._half(house), house.wrong(), self.stack.names.gone_inside())
        self.wrong += judge_there(trouble, there, wanted, twice_before)

    def _half(self, house: House) -> list[str]:
        """What is left half there, once there has been time to take it away."""
        deadline = time.monotonic() + 10
        while (left := house.half(self.org_id)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def _say_unless(self, holds: bool, what: str) -> None:
        if not holds:
            self.wrong.append(what)

    def _bring_the_rest(self, trouble: Trouble, destination: str, *deliveries: Body) -> None:
        """It is over: a test passes, and what was given up is asked for again."""
        tested = self.asking.ask("POST", f"/v1/destinations/{destination}/test")
        self._say_unless(tested["ok"], f"{trouble}: it is over, and a test says {tested}")
        for delivery in deliveries:
            self.asking.ask("POST", f"/v1/deliveries/{delivery['id']}/redeliver")
            again = self.asking.delivery_of(delivery["export_id"])
            self._say_unless(
                again["status"] == "delivered", f"{trouble}: it is over, and asked for again it is {again['status']} with {again['error']}"
            )

    # ---- what happens

    @contextmanager
    def _happening(self, trouble: Trouble, name: str) -> Iterator[Callable[[], bool]]:
        """What happens on the way, to names or to delivery. Yields whether it has."""
        house = self.houses[trouble.type]
        way = house.way
        acts: dict[str, Callable[[], None]] = {
            "cut": lambda: None, "kill": lambda: self._signal(signal.SIGKILL), "stop": lambda: self._signal(signal.SIGTERM), "die": house.die_for_a_while,
        }  # fmt: skip
        if trouble.type in ("sftp", "s3"):
            acts["hang"] = lambda: time.sleep(HANG_SECONDS)
        try:
            match trouble.kind:
                case kind if kind in acts:
                    way.arm(trouble.after, acts[kind])
                    yield lambda: way.came
                case "slow":
                    way.arm(trouble.after, lambda: setattr(way, "bytes_per_second", SLOW_BYTES_A_SECOND), breaks=False)
                    yield lambda: way.came
                case "away":
                    way.arm(trouble.after, house.go_away)
                    yield lambda: way.came
                case "moves":
                    yield from self._moving(trouble, name)
                case _:
                    yield lambda: True
        finally:
            came = way.came
            way.disarm()
            if trouble.kind == "away" and came:
                house.come_back()
            self.stack.names.lead(name, ["127.0.0.1"])

    def _moving(self, trouble: Trouble, name: str) -> Iterator[Callable[[], bool]]:
        """From the first lookup on, or from the second, for which the first connection is cut; alone, or beside the good address. Over HTTP an answer is kept
        for longer than the second try takes to come, so there delivery is killed too: its next process asks anew."""
        good, inside = ["127.0.0.1"] * trouble.pick(2), INSIDE[trouble.pick(len(INSIDE))]
        self.stack.names.lead(name, [*good, inside if trouble.pick(3) else f"127.0.0.1 {inside}"])
        if good:
            forgets: Callable[[], None] = (lambda: None) if trouble.type == "sftp" else lambda: self._signal(signal.SIGKILL)
            self.houses[trouble.type].way.arm(trouble.after, forgets)
        yield lambda: any(inside in each.split() for each in self.stack.names.looked_up(name))

    def _signal(self, number: int) -> None:
        if pid := self.stack.pid("delivery"):
            os.kill(pid, number)

    # ---- asking

    def _destination(self, kind: str, host: str) -> str:
        made = self.asking.ask(
            "POST", "/v1/destinations", json={"name": f"{kind} {host}", "type": kind, "config": self.houses[kind].config(self.org_id, host)}
        )
        self.houses[kind].made(made)
        return str(made["id"])

    def _exported(self, trouble: Trouble, destination: str) -> Body:
        until = f"2026-03-15T09:{MAILED:02}:00" if trouble.type == "email" else "2026-04-01"
        return self.asking.exported({"type": trouble.type, "id": destination}, until)


def round_of(stack: FaultStack, opened: dict[str, House], seed: int) -> Round:
    """One round: what was wrong, and what happened."""
    with stack.operator as operator:
        organisation = new_organisation(operator, stack.env["WAYBILL_URL"], f"br{secrets.token_hex(4)}")
    made = Round(stack, opened, organisation, seed)
    try:
        made.set_up()
        for trouble in plan(seed):
            try:
                made.befall(trouble)
            except (TimeoutError, AssertionError) as error:
                made.wrong.append(f"{trouble}: {error}")
    finally:
        organisation.http.close()
    return made


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.bringing", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--state", type=Path, default=ROOT / ".local-faults")
    parser.add_argument("--log", action="store_true", help="add each round to the log")
    options, failed, commit = parser.parse_args(), [], revision()
    end_on_sigterm()
    stack = FaultStack(options.state)
    try:
        stack.up()
        with houses(stack) as opened:
            for seed in range(options.seed, options.seed + options.rounds):
                made = round_of(stack, opened, seed)
                failed += [seed] if made.wrong else []
                print("\n".join(made.lines), flush=True)
                if options.log:
                    report.keep_deliveries(made, commit)
    finally:
        stack.down()
    print(f"{options.rounds} rounds of deliveries, {len(failed)} failed" + (f": seeds {', '.join(map(str, failed))}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
