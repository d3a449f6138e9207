"""A house is a real server of one type of destination behind a way, what is whole there and what is half, and how it is hurt: OpenSSH's SFTP server, and
SeaweedFS. Those of webhooks and mail are in receivers.py."""

import asyncio
import hashlib
import os
import resource
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config

from deploy.local import s3
from deploy.local.ports import HOST, free_base, resolve
from deploy.local.state import write_private
from tests.faults.arrived import Piece
from tests.faults.troubles import Trouble
from tests.faults.way import Way
from tests.ssh_server import Sshd, fingerprint_of, free_port, key_pair
from tests.store_door import StoreDoor

AWAY_SECONDS = 0.5  # of a server that died
START_SECONDS = 60.0
BUCKET, ACCESS_KEY, SECRET_KEY = "there", "fault-access", "fault-secret"  # pragma: allowlist secret
SLOW_BYTES_A_SECOND = 3 << 20


class House(ABC):
    """One for all organisations. `way`: what destinations name."""

    type: str
    way: Way

    @abstractmethod
    def config(self, org_id: str, host: str) -> dict[str, Any]:
        """The `config` of a destination that leads here."""

    def made(self, destination: Mapping[str, Any]) -> None:  # noqa: B027 (most need not know)
        """A destination that leads here was made; the answer to that."""

    def due(self, org_id: str, files: list[Piece]) -> list[Piece]:
        """What is there once these are brought."""
        return files

    @abstractmethod
    def whole(self, org_id: str) -> list[Piece]:
        """What somebody there would take for a file, sorted; one that came again under its own id counts once."""

    def twice(self, org_id: str) -> dict[str, int]:
        """Ids under which a file came whole more than once, and how often."""
        return {}

    def wrong(self) -> list[str]:
        """What came that nobody there may believe."""
        return []

    def half(self, org_id: str) -> list[str]:
        return []

    def refusing(self, trouble: Trouble, org_id: str) -> AbstractContextManager[Callable[[], bool]]:
        """The server says no, or otherwise than it should, meanwhile; whether that came to anything."""
        return nullcontext(lambda: True)

    def die(self) -> None:
        """The server with all that is open, at once: by itself it is gone as far as the network can tell."""
        self.way.shut()

    def live(self) -> None:
        """The server again, with all that it had."""
        self.way.open()

    def close(self) -> None:
        self.way.close()

    def die_for_a_while(self) -> None:
        self.die()

        def again() -> None:
            time.sleep(AWAY_SECONDS)
            self.live()

        threading.Thread(target=again, daemon=True).start()

    def go_away(self) -> None:
        """Until `live`: nobody listens."""
        self.die()
        self.way.shut()

    def come_back(self) -> None:
        self.live()
        self.way.open()


class SftpHouse(House):
    type = "sftp"

    def __init__(self, folder: Path) -> None:
        self.sshd = Sshd(folder, free_port())
        asyncio.run(self.sshd.start())
        self.way = Way(self.sshd.port)

    def config(self, org_id: str, host: str) -> dict[str, Any]:
        return {
            "host": host, "port": self.way.port, "username": self.sshd.user, "private_key": self.sshd.key.read_text("utf-8"), "path": "{org_id}/{export_id}",
            "host_keys": [self.host_key()],
        }  # fmt: skip

    def host_key(self) -> str:
        return fingerprint_of(self.sshd.host_key(*self.sshd.host_keys))

    def whole(self, org_id: str) -> list[Piece]:
        files = [path for path in (self.sshd.home / org_id).rglob("*") if path.is_file() and not path.name.startswith(".")]
        return sorted((path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files)

    def half(self, org_id: str) -> list[str]:
        return [path.name for path in (self.sshd.home / org_id).rglob(".*") if path.is_file()]

    @contextmanager
    def refusing(self, trouble: Trouble, org_id: str) -> Iterator[Callable[[], bool]]:
        match trouble.kind:
            case "key":
                (before,) = self.sshd.host_keys
                after = "ecdsa" if before == "ed25519" else "ed25519"
                self.have_key(after)
                yield lambda: True
                self.have_key((before, after)[trouble.pick(2)])  # who was in between is gone, or it is the new one for good
            case "full":
                self.die()  # who has a session open would go on without the limit
                self.live()
                assert self.sshd.process is not None
                with limited(self.sshd.process.pid, trouble.after):
                    yield lambda: True
            case _:
                yield lambda: True

    def have_key(self, kind: str) -> None:
        """The server has a host key of this kind alone from now on."""
        self.sshd.kill()
        self.sshd.host_keys = (kind,)
        key_pair(self.sshd.host_key(kind), kind)
        self.live()

    def die(self) -> None:
        self.sshd.kill()

    def live(self) -> None:
        asyncio.run(self.sshd.start())

    def close(self) -> None:
        super().close()
        self.sshd.kill()


@contextmanager
def limited(pid: int, file_bytes_max: int) -> Iterator[None]:
    """No file of what the process starts meanwhile becomes larger: where a server's quota is used up, writing fails."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (file_bytes_max, before[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


class Seaweed:
    """A store of the destination's own, apart from the one that exports lie in. It may be killed, and goes on with what it had."""

    def __init__(self, folder: Path) -> None:
        (folder / "data").mkdir(parents=True)
        ports = resolve({"WAYBILL_PORT_BASE": str(free_base(start=31000))})
        write_private(folder / "identities.json", s3.identities(ACCESS_KEY, SECRET_KEY))
        self.port, self._leftovers = ports["s3"], s3.sockets(ports)
        self._command = [str(Path(sys.executable).with_name("weed")), "-v=0", "server", *s3.options(folder, ports)]
        self._folder, self._process = folder, None
        self.start()

    _process: subprocess.Popen[bytes] | None

    def start(self) -> None:
        """Returns once it answers."""
        for path in self._leftovers:
            path.unlink(missing_ok=True)
        environment = {"HOME": str(self._folder), "PATH": os.defpath}
        self._process = subprocess.Popen(
            self._command, cwd=self._folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(httpx.TransportError):
                if httpx.get(f"http://{HOST}:{self.port}/healthz", timeout=5).is_success:
                    return
            if time.monotonic() > deadline:
                raise TimeoutError("the destination's store does not start")
            time.sleep(0.05)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class S3House(House):
    type = "s3"

    # What the door says to writing, and whether it relents once it was heard of.
    ANSWERS: Mapping[str, tuple[int, str, bool]] = {
        "500": (500, "InternalError", True), "full": (507, "InsufficientStorage", True), "refuse": (403, "AccessDenied", False),
        "fill": (507, "InsufficientStorage", False),
    }  # fmt: skip

    def __init__(self, folder: Path) -> None:
        self.store = Seaweed(folder)
        self.door = StoreDoor(self.store.port)
        self.way = Way(self.door.port)
        self._client: Any = boto3.client(
            "s3", endpoint_url=f"http://{HOST}:{self.store.port}", region_name=s3.REGION, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 10, "mode": "standard"}),
        )  # fmt: skip
        self._client.create_bucket(Bucket=BUCKET)

    def config(self, org_id: str, host: str) -> dict[str, Any]:
        return {
            "bucket": BUCKET, "endpoint": f"http://{host}:{self.way.port}", "addressing": "path", "prefix": "{org_id}/{export_id}",
            "access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY,
        }  # fmt: skip

    def whole(self, org_id: str) -> list[Piece]:
        keys = [each["Key"] for each in self._client.list_objects_v2(Bucket=BUCKET, Prefix=f"{org_id}/").get("Contents", [])]
        bodies = {key: self._client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}
        return sorted((key.rpartition("/")[2], hashlib.sha256(body).hexdigest()) for key, body in bodies.items())

    def half(self, org_id: str) -> list[str]:
        return [each["Key"] for each in self._client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{org_id}/").get("Uploads", [])]

    @contextmanager
    def refusing(self, trouble: Trouble, org_id: str) -> Iterator[Callable[[], bool]]:
        if trouble.kind not in self.ANSWERS:
            yield lambda: True
            return
        status, code, relents = self.ANSWERS[trouble.kind]
        with self.door.refusing(f"/{org_id}/", status, code) as refused:
            if relents:
                threading.Thread(target=self._relent, args=[refused], daemon=True).start()
            yield lambda: bool(refused)

    def _relent(self, refused: list[str]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not refused and time.monotonic() < deadline:
            time.sleep(0.02)
        self.door.refusal = None

    def die(self) -> None:
        self.store.kill()

    def live(self) -> None:
        self.store.start()

    def close(self) -> None:
        super().close()
        self.door.close()
        self.store.kill()
