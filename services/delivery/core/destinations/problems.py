"""What can go wrong at a destination: one word for each thing that somebody can do something about (docs/destinations.md has what)."""

from enum import StrEnum


class Code(StrEnum):
    """The same words in a test's answer, a delivery and a notification."""

    name_not_found = "name_not_found"  # DNS
    address_refused = "address_refused"  # leads inside: the guard
    refused = "refused"  # nobody listens, or the network says no
    timeout = "timeout"
    tls_failed = "tls_failed"
    host_key_unknown = "host_key_unknown"  # none is pinned yet; the message shows the one that the server has
    host_key_changed = "host_key_changed"
    login_failed = "login_failed"
    permission_denied = "permission_denied"
    not_found = "not_found"  # the bucket, the directory
    quota = "quota"  # no room, or too large for them
    rejected = "rejected"  # an answer that says no otherwise: HTTP 4xx, an SMTP 5xx
    unavailable = "unavailable"  # an answer that says later: HTTP 5xx and 429, an SMTP 4xx
    disconnected = "disconnected"
    bounced = "bounced"  # the mail came back
    too_large = "too_large"  # larger than the destination's own settings allow
    secret_unreadable = "secret_unreadable"  # pragma: allowlist secret: sealed with a key that is not known any more
    gone = "gone"  # the export's files aren't there any more
    deleted = "deleted"  # the destination is not there any more
    unexpected = "unexpected"  # a defect of ours: the log says which


UNEXPECTED = "Something unexpected happened on Waybill's side; its operator finds it in the log."  # of Code.unexpected


class Undelivered(Exception):
    """A probe or a delivery failed. `message` is for the destination's owner: a whole sentence, no secret in it, what the other side said in quotes at most.

    `again`: whether the same attempt may succeed later by itself (else it is given up at once). `retry_after`: seconds
    for which the other side asks to be left alone; kept to, up to an hour.
    """

    def __init__(self, code: Code, message: str, again: bool = True, retry_after: float | None = None) -> None:
        message = storable(message)
        super().__init__(message)
        self.code, self.message, self.again, self.retry_after = code, message, again, retry_after


MESSAGE_CHARACTERS_MAX = 1_000


def storable(message: str) -> str:
    """A message as PostgreSQL and JSON can hold it, whatever the other side put into it: no half characters, nothing unseen, no end of it."""
    return "".join(c if c.isprintable() else "?" for c in message[:MESSAGE_CHARACTERS_MAX])
