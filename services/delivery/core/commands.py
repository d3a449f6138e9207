"""What delivery takes from a command, and which files are small enough to be assembled by the handler itself."""

import re
from datetime import datetime

from shared.errors import PermanentError
from shared.messages import AssembleFile, DiscardExport

HANDLER_BYTES_MAX = 16 << 20
_INT_MAX = 2**31 - 1
_FOLDER = re.compile(r"[A-Za-z0-9_-]{0,100}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


def check(command: AssembleFile) -> None:
    """Raises PermanentError `invalid_command` that names the field."""
    for name in ("export_id", "org_id", "format", "name", "media_type", "key"):
        value = getattr(command, name)
        if not value or "\x00" in value:
            raise _invalid(name, "is empty or holds U+0000")
    if not 1 <= command.file_number <= _INT_MAX:
        raise _invalid("file_number", "is not a number from 1 on")
    if not _FOLDER.fullmatch(command.sftp_folder):
        raise _invalid("sftp_folder", "is no folder's name")
    for place, part in enumerate(command.parts):
        if not 1 <= part.number <= _INT_MAX or part.rows < 0 or part.bytes < 0:
            raise _invalid(f"parts.{place}", "has a number, rows or bytes out of range")
        if "\x00" in part.key + part.sha256 + part.first_key + part.last_key:
            raise _invalid(f"parts.{place}", "holds U+0000")
    if command.last:
        _check_last(command)


def check_discard(command: DiscardExport) -> None:
    """Raises PermanentError `invalid_command` that names the field. Both ids become folders whose whole content goes: neither may name a folder above."""
    for name in ("export_id", "org_id"):
        if not _ID.fullmatch(getattr(command, name)):
            raise _invalid(name, "is no id")


def _check_last(command: AssembleFile) -> None:
    if not 1 <= command.files_total <= _INT_MAX:
        raise _invalid("files_total", "is not a number from 1 on")
    if not command.manifest_key or "\x00" in command.manifest_key + command.manifest:
        raise _invalid("manifest_key", "is empty or holds U+0000")
    try:
        if command.expires_at and datetime.fromisoformat(command.expires_at).tzinfo is None:
            raise _invalid("expires_at", "has no offset")
    except ValueError as error:
        raise _invalid("expires_at", "is not an instant") from error


def fits_handler(command: AssembleFile) -> bool:
    """An express file that comes whole in one command."""
    whole = command.last and [p.number for p in command.parts] == list(range(1, len(command.parts) + 1))
    return command.express and whole and bool(command.parts) and sum(p.bytes for p in command.parts) <= HANDLER_BYTES_MAX


def _invalid(field: str, problem: str) -> PermanentError:
    return PermanentError("invalid_command", f"'{field}' {problem}.", field)
