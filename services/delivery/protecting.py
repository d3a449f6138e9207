"""Files under a password: an AES-256 ZIP (WinZip's AE-2), written as the parts come, with one member, the file itself; or, of a workbook, an encrypted Office file
([MS-OFFCRYPTO] 2.3.4.10, agile: AES-256, SHA-512). All calls block."""

import hashlib
import io
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol, cast

import pyzipper
from msoffcrypto.method.ecma376_agile import ECMA376Agile

from shared.errors import PermanentError
from shared.formats.base import Format
from shared.formats.protection import deflater, member
from shared.storage import FileWriter

# Of a workbook that is encrypted: it lies in memory, some three times over, because its size and its checksum stand in front.
OFFICE_BYTES_MAX = 64 << 20
_PIECE = 1 << 20
_DATE = (1980, 1, 1, 0, 0, 0)  # ZIP's first: when it was made is in the manifest


class ProtectedWriter(FileWriter, Protocol):
    """A FileWriter of what is encrypted on its way. `size` and `sha256` are of the encrypted file, once it is complete."""

    @property
    def size(self) -> int: ...

    @property
    def sha256(self) -> str: ...


def protecting(fmt: Format, inner: FileWriter, name: str, password: str) -> ProtectedWriter:
    """What encrypts a file of the format, published as `name`."""
    return OfficeWriter(inner, password) if fmt.encrypts_itself else ZipWriter(inner, member(name), password)


class OfficeWriter:
    """A FileWriter whose file is the encrypted Office file of the workbook that is appended."""

    def __init__(self, inner: FileWriter, password: str) -> None:
        self._inner, self._output, self._password = inner, _Output(inner), password
        self._held = io.BytesIO()

    @property
    def size(self) -> int:
        return self._output.size

    @property
    def sha256(self) -> str:
        return self._output.hash.hexdigest()

    def append(self, data: bytes | memoryview) -> None:
        if self._held.tell() + len(data) > OFFICE_BYTES_MAX:
            raise PermanentError(
                "workbook_too_large",
                f"An encrypted workbook may have {OFFICE_BYTES_MAX >> 20} MiB: ask for fewer rows a file (max_rows_per_file).",
            )
        self._held.write(data)

    def append_object(self, key: str, size: int, pieces: Iterable[bytes | memoryview]) -> None:
        for piece in pieces:
            self.append(piece)

    def complete(self) -> None:
        self._held.seek(0)
        encrypted = memoryview(ECMA376Agile.encrypt(self._password, self._held))
        self._held = io.BytesIO()
        for start in range(0, len(encrypted), _PIECE):
            self._output.write(encrypted[start : start + _PIECE])
        self._inner.complete()

    def abort(self) -> None:
        self._held = io.BytesIO()
        self._inner.abort()


class ZipWriter:
    """A FileWriter whose file is the encrypted ZIP of what is appended. `size` and `sha256` are the ZIP's, once it is complete.

    Salts are random: done again it is another file, so each attempt writes to a key of its own.
    """

    def __init__(self, inner: FileWriter, member: str, password: str) -> None:
        self._inner, self._output = inner, _Output(inner)
        self._zip = pyzipper.AESZipFile(cast(Any, self._output), "w", compression=pyzipper.ZIP_DEFLATED)
        self._zip.setpassword(password.encode())
        self._zip.setencryption(pyzipper.WZ_AES, nbits=256, force_wz_aes_version=2)  # 2: no checksum of what is inside lies open
        info = self._zip.zipinfo_cls(member, _DATE)
        info.compress_type = pyzipper.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        self._member: Any = self._zip.open(info, "w", force_zip64=True)
        self._member._compressor = deflater()  # pyzipper would take zlib's, and lets nobody choose

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
    """What an encrypted file is written to: it can't be turned back, so a ZIP's sizes follow what they are of."""

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
