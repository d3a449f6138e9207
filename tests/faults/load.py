"""Sends a round's records and asks for its exports, over Kafka and HTTP, and goes on until everything has been taken."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.faults.kafka import Kafka
from tests.faults.plan import Ask, Script, Send
from tests.faults.records import Record, line
from tests.faults.watch import Watch

PACE_SECONDS = 0.03  # between two sends: the load is there while things go wrong
ASK_PATIENCE_SECONDS = 2.0  # an export is asked for though the records before it can't be sent
TAKEN_SECONDS_MAX = 120
PASSING = (429, 500, 502, 503, 504)


@dataclass
class Organisation:
    """An organisation of one round, and a client with its key."""

    org_id: str
    token: str
    http: httpx.Client
    pulse: int = 1  # the last generation that was answered


@dataclass
class Asked:
    """What became of an ask. `floor`: the generation of the pulse that was answered before. `removed`: the answer to its cancellation."""

    ask: Ask
    floor: int = 0
    refused: str = ""
    removed: int | None = None


@dataclass
class Load:
    """One round's load. `wrong`: what the product answered that it must not."""

    script: Script
    organisations: list[Organisation]
    kafka: Kafka
    watch: Watch
    asked: dict[int, Asked] = field(default_factory=dict)
    over_http: list[list[Record]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    ended_at: float = 0.0

    def __post_init__(self) -> None:
        self.over_http = [[] for _ in self.organisations]
        self.asked = {ask.number: Asked(ask) for ask in self.script.asks}

    def base(self) -> None:
        """The records from before the round: answered when this returns."""
        for organisation, records in enumerate(self.script.base):
            self._post(Send(organisation, "http", records))

    def start(self) -> list[threading.Thread]:
        sends = self.script.sends
        lanes: list[Callable[[], None]] = [
            lambda: self._each([s for s in sends if s.way == "kafka"], self._produce),
            lambda: self._each([s for s in sends if s.way != "kafka"], self._post),
            self._ask_all,
            *(lambda a=ask: self._cancel(a) for ask in self.script.asks if ask.cancel),  # type: ignore[misc]
        ]
        threads = [threading.Thread(target=self._guarded, args=[lane], daemon=True) for lane in lanes]
        for thread in threads:
            thread.start()
        return threads

    def finish(self, threads: list[threading.Thread]) -> None:
        for thread in threads:
            thread.join()
        self.kafka.flush()
        self.ended_at = time.monotonic()

    def key_of(self, number: int) -> str:
        return self.watch.keys[number]

    def _guarded(self, lane: Callable[[], None]) -> None:
        try:
            lane()
        except Exception as error:
            self.wrong.append(f"the load broke: {type(error).__name__}: {error}")

    # ---- records

    def _each(self, sends: list[Send], way: Callable[[Send], None]) -> None:
        for send in sends:
            way(send)
            self.watch.count_sent()
            time.sleep(PACE_SECONDS)
        if way == self._produce:
            self._produce_bad()

    def _produce(self, send: Send) -> None:
        organisation = self.organisations[send.organisation]
        for record in send.records:
            key = f"{organisation.org_id}/{record.type}/{record.id}"
            self.kafka.send("records", key, line(record, organisation.token, organisation.org_id))

    def _produce_bad(self) -> None:
        for number in range(self.script.bad):
            org_id = self.organisations[0].org_id
            value = json.dumps({"type": "lead", "id": f"bad_{number}", "org_id": org_id, "data": {"colour": "red"}}).encode()
            self.kafka.send("records", f"{org_id}/lead/bad_{number}", value)

    def _post(self, send: Send) -> None:
        organisation = self.organisations[send.organisation]
        body = b"\n".join(line(record, organisation.token) for record in send.records)
        parameters = {"atomic": "true"} if send.way == "atomic" else {}
        answer = self._insist(organisation, "POST", "/v1/records", content=body, params=parameters)
        if answer.status_code != 200 or answer.json()["refused_count"]:
            self.wrong.append(f"POST /v1/records answered {answer.status_code}: {answer.text[:300]}")
            return
        self.over_http[send.organisation] += send.records
        if send.way == "atomic":
            organisation.pulse = max(r.version or 0 for r in send.records)

    def _insist(self, organisation: Organisation, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask until there is an answer other than "try again"."""
        deadline = time.monotonic() + TAKEN_SECONDS_MAX
        while True:
            try:
                answer = organisation.http.request(method, path, **more)
                if answer.status_code not in PASSING or time.monotonic() > deadline:
                    return answer
                if answer.status_code == 500:
                    self.wrong.append(f"{method} {path} answered 500: {answer.text[:200]}")
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    # ---- exports

    def _ask_all(self) -> None:
        for ask in sorted(self.script.asks, key=lambda a: (a.after, a.number)):
            self.watch.wait_for(lambda a=ask: self.watch.past(a.after), ASK_PATIENCE_SECONDS)  # type: ignore[misc]
            self.asked[ask.number].floor = self.organisations[ask.organisation].pulse
            for _ in range(ask.times):
                (self._ask_over_http if ask.way == "http" else self._ask_over_kafka)(ask)

    def _ask_over_http(self, ask: Ask) -> None:
        organisation = self.organisations[ask.organisation]
        answer = self._insist(organisation, "POST", "/v1/exports", json=ask.body, headers={"Idempotency-Key": self.key_of(ask.number)})
        # 410: what the key stands for was cancelled, and then deleted by a repeat.
        if answer.status_code != 202 and not (ask.cancel and answer.status_code == 410):
            self.wrong.append(f"POST /v1/exports answered {answer.status_code}: {answer.text[:300]}")

    def _ask_over_kafka(self, ask: Ask) -> None:
        org_id, key = self.organisations[ask.organisation].org_id, self.key_of(ask.number)
        body = ask.body | {"org_id": org_id, "request_id": key, "requested_by": "faults"}
        # Who refuses the same message twice must tell it once; what is accepted twice is one export by its key.
        headers = [("message-id", f"request-{key}".encode())] if ask.wrong else []
        self.kafka.send("export-requests", org_id, json.dumps(body).encode(), headers)

    def _cancel(self, ask: Ask) -> None:
        def there() -> bool:
            return ask.cancel in self.watch.reached.get(ask.number, ())

        if self.watch.wait_for(there, TAKEN_SECONDS_MAX):
            answer = self._insist(self.organisations[ask.organisation], "DELETE", f"/v1/exports/{self.watch.ids[ask.number]}")
            self.asked[ask.number].removed = answer.status_code
