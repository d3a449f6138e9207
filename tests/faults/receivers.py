"""Houses of webhooks and of mail: receivers as docs/destinations says that they are to be, and as they are."""

import asyncio
import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from tests.faults.arrived import Piece
from tests.faults.houses import House
from tests.faults.troubles import Trouble
from tests.faults.way import Way
from tests.mail_server import Post, Taken, serving
from tests.receiver import Answer, Received, Receiver

HANG_SECONDS = 2.0
OUTLASTING_SECONDS = 12.0  # longer than what delivery waits for a mail server's last word in the suite's settings
ADDRESSES = 3


@dataclass(frozen=True)
class Kept:
    """A file that came whole and was taken, by the id that it came under."""

    org_id: str
    id: str
    piece: Piece


def pieces_of(kept: list[Kept], org_id: str) -> list[Piece]:
    return sorted({(each.id, each.piece) for each in kept if each.org_id == org_id}, key=lambda found: found[1])


def twice_in(kept: list[Kept], org_id: str) -> dict[str, int]:
    counted = Counter(each.id for each in kept if each.org_id == org_id)
    return {id_: times for id_, times in counted.items() if times > 1}


class _Files(Receiver):
    """Hashes what comes, and keeps what it has answered with a 2xx, or would have."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: dict[str, str] = {}  # by path
        self.kept: list[Kept] = []
        self.wrong: list[str] = []

    def take(self, request: Received) -> Answer:
        org_id = request.path.strip("/")
        digest = hashlib.sha256(request.body).hexdigest()
        try:
            told = Webhook(self.secrets[request.path]).verify(request.headers["waybill-file"], dict(request.headers))
        except (WebhookVerificationError, KeyError) as error:
            self.wrong.append(f"a file came that is not signed by the destination's secret: {error}")
            return Answer(400)
        if told["type"] == "webhook.test":
            return Answer()
        data = told["data"]
        if (data["sha256"], data["bytes"]) != (digest, len(request.body)):
            self.wrong.append(f"{request.webhook_id} came whole, and isn't what was signed")
        answer = super().take(replace(request, body=b""))
        if answer.status < 300:
            self.kept.append(Kept(org_id, request.webhook_id, (data["name"], digest)))
        return answer


class WebhookHouse(House):
    type = "webhook"

    def __init__(self) -> None:
        self._files = _Files()
        self.way = Way(self._files.port)

    def config(self, org_id: str, host: str) -> dict[str, Any]:
        return {"url": f"http://{host}:{self.way.port}/{org_id}", "send": "files"}

    def made(self, destination: Mapping[str, Any]) -> None:
        path = "/" + destination["config"]["url"].rpartition("/")[2]
        self._files.secrets[path] = destination["made"]["secret"]

    def whole(self, org_id: str) -> list[Piece]:
        return [piece for _, piece in pieces_of(self._files.kept, org_id)]

    def twice(self, org_id: str) -> dict[str, int]:
        return twice_in(self._files.kept, org_id)

    def wrong(self) -> list[str]:
        found, self._files.wrong = self._files.wrong, []
        return found

    @contextmanager
    def refusing(self, trouble: Trouble, org_id: str) -> Iterator[Callable[[], bool]]:
        """500 once to three times, then 204; 410 for good; or the 204 that never comes."""
        path, held = f"/{org_id}", threading.Event()
        before = len(self._files.at(path))
        times = {"500": 1 + trouble.pick(3), "lose": 1, "hang": 1}.get(trouble.kind, 0)
        answers = {"500": Answer(500), "lose": Answer(lost=True), "hang": Answer(wait=held)}

        def decide(at: str, count: int) -> Answer:
            if at != path:
                return Answer()
            if trouble.kind in ("410", "pause"):
                return Answer(410, body=b"not here any more")
            if trouble.kind == "hang" and count == before:
                threading.Timer(HANG_SECONDS, held.set).start()
            return answers[trouble.kind] if count < before + times else Answer()

        self._files.decide = decide
        try:
            yield lambda: len(self._files.at(path)) > before
        finally:
            self._files.decide = lambda at, count: Answer()

    def close(self) -> None:
        super().close()
        self._files.close()


class MailHouse(House):
    """The installation's mail server (aiosmtpd), on a thread and an event loop of its own."""

    type = "email"

    def __init__(self, port: int) -> None:
        self._ready, self._kept = threading.Event(), list[Kept]()
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()
        self._ready.wait()
        self.way = Way(self.post.port, port)

    post: Post

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with serving() as self.post:
            self._ready.set()
            await self._end.wait()

    def addresses(self, org_id: str) -> list[str]:
        return [f"{number}.{org_id}@mail.example" for number in range(ADDRESSES)]

    def config(self, org_id: str, host: str) -> dict[str, Any]:
        return {"to": self.addresses(org_id), "send": "file", "attach_bytes_max": 20 << 20}

    def due(self, org_id: str, files: list[Piece]) -> list[Piece]:
        return [(f"{address}/{name}", sha256) for address in self.addresses(org_id) for name, sha256 in files]

    def whole(self, org_id: str) -> list[Piece]:
        return [piece for _, piece in pieces_of(self._read(), org_id)]

    def twice(self, org_id: str) -> dict[str, int]:
        return twice_in(self._read(), org_id)

    def _read(self) -> list[Kept]:
        """All that was ever taken; a mail is kept as its files' checksums."""
        while self.post.mails:
            self._kept += _files_of(self.post.mails.pop(0))
        return self._kept

    @contextmanager
    def refusing(self, trouble: Trouble, org_id: str) -> Iterator[Callable[[], bool]]:
        """One of three is refused for good, or for once; the word that it has the mail is lost, or comes late or too late."""
        one = self.addresses(org_id)[trouble.pick(ADDRESSES)]
        held: asyncio.Event | None = None
        match trouble.kind:
            case "refuse-one":
                self.post.refuse[one] = "550 5.1.1 Nobody of that name here"
            case "later-one":
                self.post.refuse_once[one] = "451 4.2.0 Come again"
            case "lose":
                self.post.drop = 1
            case "hang":
                self.post.hang = held = asyncio.Event()
                seconds = (HANG_SECONDS, OUTLASTING_SECONDS)[trouble.pick(2)]
                threading.Timer(seconds, self._let_go, [held]).start()
        try:
            yield lambda: True
        finally:
            self.post.refuse.clear()
            self.post.drop = 0

    def _let_go(self, held: asyncio.Event) -> None:
        self.post.hang = None
        self._loop.call_soon_threadsafe(held.set)

    def close(self) -> None:
        super().close()
        self._loop.call_soon_threadsafe(self._end.set)


def _files_of(mail: Taken) -> Iterator[Kept]:
    org_id, id_ = mail.to.partition("@")[0].rpartition(".")[2], str(mail.message["Message-ID"])
    for each in mail.message.iter_attachments():
        content = each.get_payload(decode=True)
        assert isinstance(content, bytes)
        yield Kept(org_id, f"{id_} to {mail.to}", (f"{mail.to}/{each.get_filename()}", hashlib.sha256(content).hexdigest()))
