"""Rounds of deliveries to destinations: real servers (OpenSSH's SFTP, the store's S3) behind a way on which anything can happen at any byte, and delivery
killed in the middle. `python -m tests.faults.bringing --help`; `make faults` plays one after each of its rounds.

What holds in the end: every file is there once, whole, with nothing half beside it; or the delivery has failed with the right word, and people were told.
"""

import argparse
import asyncio
import hashlib
import json
import os
import random
import secrets
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config

from deploy.local.ports import HOST
from deploy.local.s3 import REGION
from deploy.local.state import ROOT
from tests.faults.collect import new_organisation
from tests.faults.load import Organisation
from tests.faults.stack import FaultStack, end_on_sigterm
from tests.ssh_server import Sshd, fingerprint_of, free_port
from tests.store_door import StoreDoor

PIECE = 16 << 10
MESSAGES, MESSAGE_BYTES = 40, 200_000  # about 8 MB a file: brought in several pieces, and in several parts
END_SECONDS = 100.0  # longer than the silence that carriers bear
HANG_SECONDS = 2.0
TROUBLES = 4  # of a round
# What happens on the way, and what may come of it; a trouble that stays ends in a failure with this code.
WAYS = {"sftp": ("cut", "kill", "stop", "hang", "die"), "s3": ("cut", "kill", "stop", "hang", "500", "full", "refuse")}
STAYS = {"refuse": "permission_denied"}
ANSWERS = {"500": (500, "InternalError"), "full": (507, "InsufficientStorage"), "refuse": (403, "AccessDenied")}


@dataclass(frozen=True)
class Trouble:
    """`after`: so many bytes on the way there; what is answered by a door comes with the first write."""

    type: str
    kind: str
    after: int

    def __str__(self) -> str:
        return f"{self.kind} {self.type} after {self.after} bytes"


def plan(seed: int) -> list[Trouble]:
    """Half of them in the first bytes, where connections, logins and beginnings are."""
    dice, found = random.Random(f"bringing {seed}"), []
    for _ in range(TROUBLES):
        kind = dice.choice(sorted(WAYS))
        found.append(Trouble(kind, dice.choice(WAYS[kind]), dice.randrange(30_000 if dice.random() < 0.5 else MESSAGES * MESSAGE_BYTES)))
    return found


class Way:
    """TCP from delivery to a destination's server, in this process. `arm`: what happens once so many bytes have gone there."""

    def __init__(self, upstream: int) -> None:
        self.upstream, self._left, self._act = upstream, -1, None
        self._listener = socket.create_server((HOST, 0))
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    _act: Callable[[], None] | None
    came = False  # what was armed has happened

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def arm(self, after: int, act: Callable[[], None]) -> None:
        """`act` is called in the middle of the way; the connection it happened on is gone behind it."""
        with self._lock:
            self._left, self._act, self.came = after, act, False

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection((HOST, self.upstream), timeout=10)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            for source, sink, there in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._pump, args=[source, sink, there], daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, there: bool) -> None:
        try:
            while piece := source.recv(PIECE):
                if there and (act := self._due(len(piece))):
                    sink.sendall(piece[: len(piece) // 2])
                    act()
                    break
                sink.sendall(piece)
        except OSError:
            pass
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # wakes who reads from it
            each.close()  # what wasn't read is refused, as where a machine is gone

    def _due(self, size: int) -> Callable[[], None] | None:
        with self._lock:
            if self._act is None:
                return None
            self._left -= size
            if self._left > 0:
                return None
            act, self._act, self.came = self._act, None, True
            return act


@dataclass
class Houses:
    """Both servers, and the ways to them."""

    sshd: Sshd
    door: StoreDoor
    sftp_way: Way
    s3_way: Way
    s3: Any
    bucket: str

    def way(self, kind: str) -> Way:
        return self.sftp_way if kind == "sftp" else self.s3_way

    def whole(self, kind: str, org_id: str) -> list[tuple[str, str]]:
        """(name, sha256) of what somebody there would take for a file."""
        if kind == "sftp":
            files = [path for path in (self.sshd.home / org_id).rglob("*") if path.is_file() and not path.name.startswith(".")]
            return sorted((path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files)
        keys = [each["Key"] for each in self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"there/{org_id}/").get("Contents", [])]
        bodies = {key: self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}
        return sorted((key.rpartition("/")[2], hashlib.sha256(body).hexdigest()) for key, body in bodies.items())

    def half(self, kind: str, org_id: str) -> list[str]:
        if kind == "sftp":
            return [path.name for path in (self.sshd.home / org_id).rglob(".*") if path.is_file()]
        uploads = self.s3.list_multipart_uploads(Bucket=self.bucket, Prefix=f"there/{org_id}/").get("Uploads", [])
        return [each["Key"] for each in uploads]


@contextmanager
def houses(stack: FaultStack) -> Iterator[Houses]:
    env = stack.env
    s3 = boto3.client(
        "s3", endpoint_url=env["WAYBILL_S3_ENDPOINT"], region_name=REGION, aws_access_key_id=env["WAYBILL_S3_ACCESS_KEY"],
        aws_secret_access_key=env["WAYBILL_S3_SECRET_KEY"], config=Config(s3={"addressing_style": "path"}),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        server = Sshd(Path(folder), free_port())
        asyncio.run(server.start())
        door = StoreDoor(stack.ports["s3"])
        opened = Houses(server, door, Way(server.port), Way(door.port), s3, env["WAYBILL_S3_BUCKET"])
        try:
            yield opened
        finally:
            for way in (opened.sftp_way, opened.s3_way):
                way.close()
            door.close()
            server.kill()


@dataclass
class Round:
    """One organisation, its two destinations, and one trouble after the other. `wrong`: what must not be."""

    stack: FaultStack
    houses: Houses
    organisation: Organisation
    seed: int
    destinations: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """For a person."""
        verdict = f"deliveries of seed {self.seed}: {'FAILED' if self.wrong else 'ok'}"
        return [verdict, *(f"    {line}" for line in self.told), *(f"    ✗ {line}" for line in self.wrong)]

    def set_up(self) -> None:
        channel = {"type": "channel", "id": "ch", "data": {"medium": "Web chat", "name": "W"}}
        conversation = {"type": "conversation", "id": "c", "data": {"channel_id": "ch", "created_at": "2026-03-15T09:00:00Z"}}
        messages = [
            {"type": "message", "id": f"m{n}", "data": {
                "conversation_id": "c", "created_at": f"2026-03-15T09:{n:02}:00Z", "sender": {"kind": "visitor"}, "content": os.urandom(MESSAGE_BYTES // 2).hex(),
            }}
            for n in range(MESSAGES)
        ]  # fmt: skip
        self._ask("POST", "/v1/records", content="\n".join(map(json.dumps, [channel, conversation, *messages])).encode())
        org_id, env, sshd = self.organisation.org_id, self.stack.env, self.houses.sshd
        configs = {
            "sftp": {
                "host": HOST, "port": self.houses.sftp_way.port, "username": sshd.user, "private_key": sshd.key.read_text("utf-8"),
                "host_keys": [fingerprint_of(sshd.host_key("ed25519"))], "path": "{org_id}/{export_id}",
            },
            "s3": {
                "bucket": self.houses.bucket, "endpoint": f"http://{HOST}:{self.houses.s3_way.port}", "addressing": "path", "prefix": "there/{org_id}/{export_id}",
                "access_key_id": env["WAYBILL_S3_ACCESS_KEY"], "secret_access_key": env["WAYBILL_S3_SECRET_KEY"],
            },
        }  # fmt: skip
        for kind, config in configs.items():
            made = self._ask("POST", "/v1/destinations", json={"name": f"{kind} {org_id}", "type": kind, "config": config})
            self.destinations[kind] = made["id"]

    def befall(self, trouble: Trouble) -> None:
        """An export is brought while it happens; what is there then is judged."""
        started, way = time.monotonic(), self.houses.way(trouble.type)
        before = self.houses.whole(trouble.type, self.organisation.org_id)
        with self._answering(trouble):
            if trouble.kind not in ANSWERS:
                way.arm(trouble.after, self._act(trouble))
            export = self._exported(trouble)
            delivery = self._ended(export["id"])
        came = trouble.kind in ANSWERS or way.came
        self.told.append(
            f"{trouble}: {delivery['status']} after {time.monotonic() - started:.1f} s{'' if came else ', which did not come to it'}"
        )
        self._judge(trouble, export, delivery, before)

    def _judge(self, trouble: Trouble, export: dict[str, Any], delivery: dict[str, Any], before: list[tuple[str, str]]) -> None:
        kind, org_id = trouble.type, self.organisation.org_id
        there, due = self.houses.whole(kind, org_id), [(each["name"], each["sha256"]) for each in export["files"]]
        code = (delivery["error"] or {}).get("code")
        if trouble.kind in STAYS:
            if (delivery["status"], code) != ("failed", STAYS[trouble.kind]):
                self.wrong.append(f"{trouble}: {delivery['status']} with {code}, and not failed with {STAYS[trouble.kind]}")
            if there != before:
                self.wrong.append(f"{trouble}: files are there of a delivery that failed")
            told = self._ask("GET", "/v1/notifications")["data"]
            if not any(delivery["id"] in json.dumps(each) for each in told):
                self.wrong.append(f"{trouble}: nobody was told")
        else:
            if delivery["status"] != "delivered":
                self.wrong.append(f"{trouble}: {delivery['status']} with {delivery['error']}")
            if there != sorted([*before, *due]):
                self.wrong.append(f"{trouble}: there is {there}, and not {sorted([*before, *due])}")
        deadline = time.monotonic() + 10
        while (left := self.houses.half(kind, org_id)) and time.monotonic() < deadline:
            time.sleep(0.1)
        if left:
            self.wrong.append(f"{trouble}: {left} is left half there")

    # ---- what happens

    @contextmanager
    def _answering(self, trouble: Trouble) -> Iterator[None]:
        if trouble.kind not in ANSWERS:
            yield
            return
        status, code = ANSWERS[trouble.kind]
        with self.houses.door.refusing("there/", status, code) as refused:
            if trouble.kind not in STAYS:  # until it has been heard of once
                threading.Thread(target=self._relent, args=[refused], daemon=True).start()
            yield

    def _relent(self, refused: list[str]) -> None:
        deadline = time.monotonic() + END_SECONDS
        while not refused and time.monotonic() < deadline:
            time.sleep(0.02)
        self.houses.door.refusal = None

    def _act(self, trouble: Trouble) -> Callable[[], None]:
        match trouble.kind:
            case "kill":
                return lambda: self._signal(signal.SIGKILL)
            case "stop":
                return lambda: self._signal(signal.SIGTERM)
            case "hang":
                return lambda: time.sleep(HANG_SECONDS)
            case "die":
                return self._die
            case _:
                return lambda: None  # cut: the connection is gone behind it

    def _signal(self, number: int) -> None:
        if pid := self.stack.pid("delivery"):
            os.kill(pid, number)

    def _die(self) -> None:
        """The server with all of its sessions, for a while."""
        self.houses.sshd.kill()

        def again() -> None:
            time.sleep(0.5)
            self.houses.sshd._launch()

        threading.Thread(target=again, daemon=True).start()

    # ---- asking

    def _exported(self, trouble: Trouble) -> dict[str, Any]:
        wanted = [{"type": trouble.type, "id": self.destinations[trouble.type]}]
        body = {"dataset": "messages", "format": "csv", "from": "2026-03-01", "to": "2026-04-01", "timezone": "UTC", "destinations": wanted}
        export_id = self._ask("POST", "/v1/exports", json=body)["id"]
        return self._until(lambda: self._ask("GET", f"/v1/exports/{export_id}"), lambda found: found["status"] == "completed", "the export")

    def _ended(self, export_id: str) -> dict[str, Any]:
        def look() -> dict[str, Any]:
            found = self._ask("GET", f"/v1/deliveries?export_id={export_id}")["data"]
            return found[0] if found else {"status": "not made"}

        return self._until(look, lambda found: found["status"] in ("delivered", "failed", "cancelled"), "the delivery")

    def _until(self, look: Callable[[], dict[str, Any]], done: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        deadline = time.monotonic() + END_SECONDS
        while not done(found := look()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} is {found['status']} after {END_SECONDS:g} s: {json.dumps(found)[:500]}")
            time.sleep(0.1)
        return found

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        """Until there is an answer other than "try again": delivery may be starting."""
        deadline = time.monotonic() + END_SECONDS
        while True:
            try:
                answer = self.organisation.http.request(method, path, **more)
                if answer.status_code < 400:
                    return answer.json()
                if answer.status_code not in (429, 502, 503, 504):
                    raise AssertionError(f"{method} {path} answered {answer.status_code}: {answer.text[:300]}")
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {path} is not answered")
            time.sleep(0.1)


def round_of(stack: FaultStack, opened: Houses, seed: int) -> Round:
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
    options, failed = parser.parse_args(), []
    end_on_sigterm()
    stack = FaultStack(options.state)
    try:
        stack.up()
        with houses(stack) as opened:
            for seed in range(options.seed, options.seed + options.rounds):
                made = round_of(stack, opened, seed)
                failed += [seed] if made.wrong else []
                print("\n".join(made.lines), flush=True)
    finally:
        stack.down()
    print(f"{options.rounds} rounds of deliveries, {len(failed)} failed" + (f": seeds {', '.join(map(str, failed))}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
