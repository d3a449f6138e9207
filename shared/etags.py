"""Entity tags of what is changed under `If-Match` (RFC 9110)."""

import hashlib
import re
from collections.abc import Sequence

from fastapi import Request

from shared.errors import ApiError, Detail, invalid_request

_TAG = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def etag_of(content: bytes) -> str:
    """A strong tag for these bytes."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def if_match_of(request: Request) -> str | None:
    """The header as it was sent, several of it as one list; null where there is none."""
    given = request.headers.getlist("if-match")
    return ", ".join(given) if given else None


def require_match(if_match: str | None, etag: str) -> None:
    """Raises ApiError: 412 where the caller knows another version; 400 for what is no list of tags. A weak tag never matches."""
    if if_match is None or if_match.strip() == "*":
        return
    tags: Sequence[str] = [tag.strip() for tag in if_match.split(",")]
    if not all(_TAG.fullmatch(tag) for tag in tags):
        raise invalid_request(Detail("If-Match", 'must be *, or entity tags as an answer\'s ETag gave them: "…"'))
    if etag not in tags:
        raise ApiError(412, "precondition_failed", "It has changed since you looked: look again.", headers={"ETag": etag})
