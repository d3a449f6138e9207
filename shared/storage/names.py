"""What a key may look like, and how a file's name travels in a header."""

import re
from urllib.parse import quote

from shared.errors import PermanentError

KEY_BYTES_MAX = 1024
SEGMENT_BYTES_MAX = 255
PIECE_BYTES = 1 << 20
TEMPORARY = ".uploads"  # where a directory store keeps what is not whole yet
_CONTROL = re.compile("[\x00-\x1f\x7f\\\\\ud800-\udfff]")


def checked_key(key: str) -> str:
    """`key` itself. Raises PermanentError `store_refused` for what could leave the store's folder, or that not every store can keep."""
    segments = key.split("/")
    if _CONTROL.search(key) or any(s in ("", ".", "..") or len(s.encode()) > SEGMENT_BYTES_MAX for s in segments):
        raise _refused(key)
    if segments[0] == TEMPORARY or len(key.encode()) > KEY_BYTES_MAX:
        raise _refused(key)
    return key


def checked_prefix(prefix: str) -> str:
    """`prefix` itself: the empty one, or any leading part of a key."""
    if prefix:
        checked_key(prefix.removesuffix("/"))
    return prefix


def content_disposition(file_name: str) -> str:
    """`attachment` with the name for old clients (ASCII) and for the others (RFC 5987, UTF-8). Nothing in the name can end the header."""
    plain = re.sub(r'[^ -~]|["\\%;]', "_", file_name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name.encode('utf-8', 'replace'), safe='!#$&+^_`|~.-')}"


def _refused(key: str) -> PermanentError:
    return PermanentError("store_refused", f"No store can keep an object under the key {key[:100]!r}.")
