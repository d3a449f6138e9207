"""Headers of a customer's own, as webhooks may carry them (an Authorization, a tenant's id): nothing that could end a line, or change what a request is."""

import re
from typing import Any

from shared.errors import Detail

HEADERS_MAX, NAME_MAX, VALUE_MAX = 20, 100, 4096
NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"
VALUE = r"^[!-~]([ -~]*[!-~])?$"
_name, _value = re.compile(NAME), re.compile(VALUE)
# What says where a request goes and how it is to be read, or belongs to the connection; and ours.
_TAKEN = {
    "accept-encoding", "connection", "digest", "expect", "host", "keep-alive", "range", "repr-digest", "te", "traceparent", "tracestate", "trailer",
    "transfer-encoding", "upgrade",
}  # fmt: skip
_TAKEN_PREFIXES = ("content-", "proxy-", "sec-", "webhook-", "waybill-")


def problems_with(field: str, value: Any) -> list[Detail]:
    if not isinstance(value, dict) or len(value) > HEADERS_MAX:
        return [Detail(field, f"must be an object of at most {HEADERS_MAX} headers, name → value")]
    wrong = [Detail(f"{field}.{name[:80]}", problem) for name, text in value.items() if (problem := _problem(name, text))]
    if len({name.lower() for name in value}) < len(value):
        wrong.append(Detail(field, "holds a header twice: upper and lower case are the same"))
    return wrong


def _problem(name: str, value: Any) -> str | None:
    if not _name.fullmatch(name):
        return f"is not a header's name of at most {NAME_MAX} characters"
    if name.lower() in _TAKEN or name.lower().startswith(_TAKEN_PREFIXES):
        return "may not be set: it says how the request is to be read, or is one of ours"
    if not isinstance(value, str) or len(value) > VALUE_MAX or not _value.fullmatch(value):
        return f"must be 1 to {VALUE_MAX} printable ASCII characters, without a space at either end"
    return None
