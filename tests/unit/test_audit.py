"""Entries of the audit trail, and whose address they name."""

import json

import pytest
from starlette.requests import Request

from shared import audit
from shared.codec import decode
from shared.http import Principal, address_of
from shared.messages import AuditEntry
from shared.topics import AUDIT_ENTRIES


def _request(client: tuple[str, int] | None, forwarded: str | None = None) -> Request:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded is not None else []
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers, "client": client})


def test_an_entry_says_who_what_from_where_and_why() -> None:
    outgoing = audit.entry(Principal("org_1", "k1", frozenset(), "203.0.113.7"), "lead.created", "lead_1", {"b": 1, "a": "é"}, "import")
    entry = decode(outgoing.value or b"")
    assert isinstance(entry, AuditEntry)
    assert (outgoing.topic, outgoing.key) == (AUDIT_ENTRIES, "org_1")
    assert (entry.actor, entry.org_id, entry.action, entry.subject) == ("key:k1", "org_1", "lead.created", "lead_1")
    assert (entry.address, entry.purpose, entry.details) == ("203.0.113.7", "import", '{"a": "é", "b": 1}')
    assert json.loads(entry.details) == {"a": "é", "b": 1}
    assert entry.at.endswith("Z")
    assert "message-id" in outgoing.headers


@pytest.mark.parametrize(
    ("client", "forwarded", "address"),
    [
        (("198.51.100.1", 1), None, "198.51.100.1"),
        (("127.0.0.1", 1), "203.0.113.7", "203.0.113.7"),
        (("127.0.0.1", 1), "10.9.9.9, 203.0.113.7", "203.0.113.7"),  # what the caller put there itself comes before the gateway's own word
        (("127.0.0.1", 1), "x" * 65, ""),
        (None, None, ""),
    ],
)
def test_the_address_is_what_the_gateway_saw(client: tuple[str, int] | None, forwarded: str | None, address: str) -> None:
    assert address_of(_request(client, forwarded)) == address
