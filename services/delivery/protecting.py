"""Files under a password: an AES-256 ZIP (WinZip's AE-2), written as the parts come, with one member, the file itself. All calls block."""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, cast

import pyzipper

from shared.storage import FileWriter

_DATE = (1980, 1, 1, 0, 0, 0)  # ZIP's first: when it was made is in the manifest


class ZipWriter:
    """A FileWriter whose file is the encrypted ZIP of what is appended. `size` and `sha256` are the ZIP's, once it is complete.

    Salts are random: done again it is another file, so each attempt writes to a key of its own.
    """

    def __init__(self, inner: FileWriter, member: str, password: str) -> None:
        self._inner, self._output = inner, _Output(inner)
        self._zip = pyzipper.AESZipFile(cast(Any, self._output), "w", compression=pyzipper.ZIP_DEFLATED, compresslevel=1)
        self._zip.setpassword(password.encode())
        self._zip.setencryption(pyzipper.WZ_AES, nbits=256, force_wz_aes_version=2)  # 2: no checksum of what is inside lies open
        info = self._zip.zipinfo_cls(member, _DATE)
        info.compress_type = pyzipper.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        self._member = self._zip.open(info, "w", force_zip64=True)

    @property
    def size(self) -> int:
        return self._output.size

    @property
    def sha256(self) -> str:
        return self._output.hash.hexdigest()

    def append(self, data: bytes | memoryview) -> None:
        self._member.write(data)

    def append_object(self, key: str, size: int, pieces: Iterable[bytes | memoryview]) -> None:
        for piece in pieces:
            self._member.write(piece)

    def complete(self) -> None:
        self._member.close()
        self._zip.close()
        self._inner.complete()

    def abort(self) -> None:
        self._output.closed_to_writes = True
        with suppress(Exception):  # whatever state it is in: nothing of it goes anywhere any more
            self._member.close()
            self._zip.close()
        self._inner.abort()


class _Output:
    """What the ZIP is written to: it can't be turned back, so sizes follow what they are of."""

    def __init__(self, inner: FileWriter) -> None:
        self._inner, self.size, self.hash = inner, 0, hashlib.sha256()
        self.closed_to_writes = False

    def write(self, data: bytes | memoryview) -> int:
        if not self.closed_to_writes:
            self._inner.append(data)
            self.hash.update(data)
            self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back here."""
