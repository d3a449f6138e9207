"""What a mail looks like, as bytes, and what a mail server's answer means. Addresses are personal: none stands whole in what is said of a failure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from services.delivery.core.destinations.problems import Code
from shared.checks import is_seen

SUBJECT_CHARACTERS_MAX = 200
ANSWER_CHARACTERS_MAX = 200
# Seven bits a byte, whatever the servers on the way can do: what they would change to pass it on is what a signature or a checksum trips over.
_POLICY = policy.SMTP.clone(cte_type="7bit")
_ADDRESS = re.compile(r"[^\s<>@\"'(),:;]+@[^\s<>@\"'(),:;]+")
_NO_ROOM = re.compile(r"\b[45]\.(2\.2|2\.3|3\.1|3\.4)\b")  # RFC 3463: the mailbox or the system is full, the message too large for it


@dataclass(frozen=True)
class Attachment:
    """A file in a mail."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Letter:
    """What is written to somebody. `id`: the same for the same letter to the same person, so that a mail program shows one where two were sent."""

    id: str
    subject: str
    text: str
    html: str = ""
    attachments: Sequence[Attachment] = ()


def compose(letter: Letter, sender: str, to: str, now: datetime) -> bytes:
    """The message. `sender`: `Name <address>` or an address. Raises ValueError where a header would be more than one line: who writes letters cleans their texts."""
    for text in (letter.subject, letter.id, to, sender):
        if not is_seen(text):
            raise ValueError("must be one line")
    name, address = parted(sender)
    message = EmailMessage(policy=_POLICY)
    message["From"] = Address(name, addr_spec=address)
    message["To"] = Address(addr_spec=to)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{letter.id}@{address.rpartition('@')[2]}>"
    # RFC 3834: nobody's absence is to be told to us.
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(letter.text, cte="quoted-printable")
    if letter.html:
        message.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    for each in letter.attachments:
        kind, _, subtype = each.media_type.partition(";")[0].strip().partition("/")
        message.add_attachment(each.content, maintype=kind, subtype=subtype or "octet-stream", filename=each.name)
    return message.as_bytes()


def parted(sender: str) -> tuple[str, str]:
    """The name and the address of a sender, as settings have it: `Waybill <exports@example.com>`, or only the address."""
    name, bracket, rest = sender.rpartition("<")
    return (name.strip().strip('"'), rest.rstrip("> ")) if bracket else ("", sender.strip())


def masked(address: str) -> str:
    """An address as others may see it: `a…@b.example`."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"


def quoted(answer: str) -> str:
    """What a server said, on one line, cut, and without anybody's whole address."""
    line = "".join(c if c.isprintable() else " " for c in answer)  # a byte that isn't UTF-8 is half a character here
    hidden = _ADDRESS.sub(lambda found: masked(found[0]), " ".join(line.split()))
    return hidden[:ANSWER_CHARACTERS_MAX]


def meaning(code: int, answer: str) -> tuple[Code, bool]:
    """What an SMTP answer that isn't a yes comes to, and whether waiting may help (RFC 5321 4.2.1, RFC 3463)."""
    if code == 552 or _NO_ROOM.search(answer):
        return Code.quota, code < 500
    if 400 <= code < 500:
        return Code.unavailable, True
    if code in (530, 534, 535, 538):
        return Code.login_failed, True
    return Code.rejected, False
