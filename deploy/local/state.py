"""Where the stack keeps what it writes: one directory (`.local`), its secrets and its paths."""

import hashlib
import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("ingest", "lead_scoring", "export_request", "formatter", "delivery")


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; only its owner may read it."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


@dataclass(frozen=True)
class State:
    """The state directory; everything in it may be wiped by `make clean`."""

    directory: Path

    @property
    def pids(self) -> Path:
        return self.directory / "pids"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def run(self) -> Path:
        """What each process is started with, one JSON file a process; private, since it holds passwords."""
        return self.directory / "run"

    @property
    def env_file(self) -> Path:
        return self.directory / "waybill.env"

    @property
    def key(self) -> str:
        """A short name of this directory, for what can't lie in it."""
        return hashlib.sha256(str(self.directory).encode()).hexdigest()[:12]

    @property
    def socket(self) -> Path:
        """The supervisor's socket; Unix sockets' paths end at about 100 bytes, so a long one lies in the temporary directory."""
        wanted = self.run / "supervisor.sock"
        return wanted if len(str(wanted)) < 90 else Path(tempfile.gettempdir()) / f"waybill-{self.key}.sock"

    def prepare(self) -> None:
        """Make the directories."""
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        for path, mode in ((self.pids, 0o755), (self.log, 0o755), (self.run, 0o700)):
            path.mkdir(mode=mode, exist_ok=True)

    def load_secrets(self) -> dict[str, str]:
        """The generated secrets; made at the first call, the same from then on."""
        path = self.directory / "secrets.json"
        known: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        made = {
            "postgres_password": 16,
            "s3_access_key": 10,
            "s3_secret_key": 20,
            "secret_key": 32,
            "signing_secret": 32,
            "pseudonym_secret": 32,
            "operator_token": 24,
        }
        made |= {f"{service}_password": 16 for service in SERVICES}
        missing = {name: secrets.token_hex(size) for name, size in made.items() if name not in known}
        if missing:
            known |= missing
            write_private(path, json.dumps(known, indent=1))
        return known

    def save_secret(self, name: str, value: str) -> None:
        """Keep one more secret."""
        known = self.load_secrets() | {name: value}
        write_private(self.directory / "secrets.json", json.dumps(known, indent=1))
