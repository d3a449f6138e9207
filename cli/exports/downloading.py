"""Downloading an export's files: resumed where they broke off, checked, and only then in their place."""

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from cli.api import refusal
from cli.core.manifests import is_plain_name
from cli.core.retry import delay_seconds
from cli.errors import CliError
from cli.exports.watching import path_of
from shared.retry_after import retry_after_seconds

if TYPE_CHECKING:
    from hashlib import _Hash

    from cli.api import Api

OnBytes = Callable[[int], None]


@dataclass(frozen=True)
class Wanted:
    """A file as the export announces it."""

    name: str
    bytes: int
    sha256: str
    path: str


def wanted_of(export: dict[str, Any]) -> list[Wanted]:
    """The export's files. Raises CliError for one whose name would leave the folder, or that says no checksum."""
    from urllib.parse import quote

    files = []
    for raw in export.get("files") or []:
        name, size, digest = raw.get("name"), raw.get("bytes"), raw.get("sha256")
        if not is_plain_name(name):
            raise CliError(f"files.name: {name!r} is no plain file name; nothing is written.", "unsafe_name")
        if not isinstance(size, int) or not isinstance(digest, str):
            raise CliError(f"{name}: the export doesn't say its bytes and sha256.", "unexpected_answer")
        files.append(Wanted(name, size, digest.lower(), f"{path_of(export['id'])}/files/{quote(name, safe='')}"))
    return files


def download(api: "Api", wanted: Wanted, folder: Path, on_bytes: OnBytes, *, force: bool) -> Path:
    """`wanted` in `folder`, whole and checked. A file of that name with other bytes stays unless `force`. Raises CliError."""
    target = folder / wanted.name
    if target.exists() and not force:
        if target.is_file() and target.stat().st_size == wanted.bytes and _digest(target).hexdigest() == wanted.sha256:
            on_bytes(wanted.bytes)
            return target
        raise CliError(f"{target} is there already, with other bytes: move it away, or give --force.", "exists")
    partial = Partial(folder / f".{wanted.name}.waybill-part", folder / f".{wanted.name}.waybill-etag")
    attempt = 0
    while True:
        before = partial.size
        reason, asked = _attempt(api, wanted, partial, on_bytes)
        if reason is None:
            break
        # A try that brought something forward doesn't count: a large file over a bad line arrives in the end.
        attempt = 1 if partial.size > before else attempt + 1
        wait = delay_seconds(attempt, None, asked, idempotent=True)
        if wait is None:
            raise CliError(f"{wanted.name}: {reason}; what came is kept, the same command goes on from there.", "interrupted_download")
        time.sleep(wait)
    partial.check(wanted)
    os.replace(partial.path, target)
    partial.etag_path.unlink(missing_ok=True)
    return target


def _attempt(api: "Api", wanted: Wanted, partial: "Partial", on_bytes: OnBytes) -> tuple[str | None, float | None]:
    """One request for what is missing: (None, None) when all has come, else why not and what Retry-After asks for."""
    from datetime import UTC, datetime

    headers = {"Accept-Encoding": "identity"}
    start, etag = partial.size, partial.etag
    if start and etag and start < wanted.bytes:
        headers |= {"Range": f"bytes={start}-", "If-Range": etag}
    elif start == wanted.bytes and etag:
        on_bytes(start)
        return None, None
    try:
        with api.stream(wanted.path, headers=headers) as answer:
            if answer.status_code in (429, 500, 502, 503, 504):
                return f"the server answered {answer.status_code}", retry_after_seconds(
                    answer.headers.get("retry-after"), datetime.now(UTC)
                )
            if answer.status_code == 416:
                partial.drop()
                return "what was there didn't fit", 0.0
            if answer.status_code >= 400:
                raise refusal(answer)
            resumed = answer.status_code == 206 and answer.headers.get("content-range", "").startswith(f"bytes {start}-")
            if answer.status_code == 206 and not resumed:
                partial.drop()
                return "the server sent another range", None
            partial.take(answer, on_bytes, at=start if resumed else 0, bytes_max=wanted.bytes)
    except httpx.HTTPError as error:
        return f"the connection broke ({str(error) or type(error).__name__})", None
    return (None, None) if partial.size >= wanted.bytes else (f"{partial.size} of {wanted.bytes} bytes came", None)


class Partial:
    """What has come of a file so far, and the ETag that it belongs to."""

    def __init__(self, path: Path, etag_path: Path) -> None:
        self.path, self.etag_path = path, etag_path
        self._hash: _Hash | None = None
        self._shown = 0

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def etag(self) -> str | None:
        """A strong validator only: a weak one may not be used with If-Range."""
        text = self.etag_path.read_text("ascii").strip() if self.etag_path.exists() else ""
        return text if text.startswith('"') else None

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self.etag_path.unlink(missing_ok=True)
        self._hash = None

    def take(self, answer: httpx.Response, on_bytes: OnBytes, *, at: int, bytes_max: int) -> None:
        """Appends the body from byte `at` on (0: from the start again); never more than `bytes_max` + one piece."""
        if at == 0:
            self.drop()
            self._hash = hashlib.sha256()
        elif self._hash is None:
            self._hash = _digest(self.path)
        if (etag := answer.headers.get("etag")) and etag.isascii():
            self.etag_path.write_text(etag, "ascii")
        on_bytes(at - self._shown)
        size = self._shown = at
        with self.path.open("ab") as file:
            for piece in answer.iter_bytes():  # no size: pieces of a fixed size would be lost when the connection breaks
                file.write(piece)
                self._hash.update(piece)
                size = self._shown = size + len(piece)
                on_bytes(len(piece))
                if size > bytes_max:
                    return

    def check(self, wanted: Wanted) -> None:
        """Raises CliError, and drops what came, where bytes or sha256 aren't what the export says."""
        size = self.size
        found = (self._hash or _digest(self.path)).hexdigest() if self.path.exists() else hashlib.sha256().hexdigest()
        if size == wanted.bytes and found == wanted.sha256:
            self.path.touch()
            return
        self.drop()
        what = (
            f"{size} bytes came, the export says {wanted.bytes}"
            if size != wanted.bytes
            else f"sha256 is {found}, the export says {wanted.sha256}"
        )
        raise CliError(f"{wanted.name}: {what}; the file was thrown away.", "checksum_mismatch")


def _digest(path: Path) -> "_Hash":
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256")
