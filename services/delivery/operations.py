"""What the HTTP operations on files, manifests and signing keys say of themselves (see shared/openapi.py)."""

from typing import Any, get_args

from shared.audit import PURPOSE_MAX
from shared.datasets.plan import Rule
from shared.formats import registry as formats
from shared.formats.compression import MEDIA_TYPES
from shared.openapi import (
    BOOLEAN,
    COUNT,
    EXPORT_EXAMPLE_ID,
    EXPORT_ID,
    INSTANT,
    NOTHING,
    PAGING,
    SHA256,
    Component,
    answer,
    etag,
    header,
    line,
    listed,
    nullable,
    one_of,
    operation,
    page,
    path,
    query,
    shown,
    text,
    whole,
)
from shared.signing import ALGORITHM

# ---- files

_CONDITIONS = [
    Component("range", header("Range", text(examples=["bytes=0-1023"]), "One range of bytes; several ranges and other units are ignored."), "parameters"),
    Component("if_range", header("If-Range", text(), "The range only if this is still the file's ETag (or its time); else all of it."), "parameters"),
    Component("if_match", header("If-Match", text(), "Only if this is still the file's ETag."), "parameters"),
    Component("if_none_match", header("If-None-Match", text(), "Only if the file's ETag is another one."), "parameters"),
    Component("if_modified_since", header("If-Modified-Since", text(), "Only if it was published after this time."), "parameters"),
]  # fmt: skip
_FILE_HEADERS: dict[str, Any] = {
    **etag("The file's SHA-256, in quotation marks."), "Last-Modified": {"description": "When it was published.", "schema": text()},
    "Accept-Ranges": {"description": "bytes", "schema": text()},
}  # fmt: skip
_NAMED: dict[str, Any] = {"Content-Disposition": {"description": "The file's name.", "schema": text()}}
_BODY_HEADERS = _FILE_HEADERS | _NAMED
_PART_HEADERS = _BODY_HEADERS | {"Content-Range": {"description": "Which bytes of how many.", "schema": text()}}


def _bytes(description: str, headers: dict[str, Any]) -> dict[str, Any]:
    """A file in any of the formats, as it is stored."""
    media = {formats.get(name).media_type.partition(";")[0] for name in formats.names()} | {
        *MEDIA_TYPES.values(),
        "application/octet-stream",
    }
    return {"description": description, "headers": headers, "content": {each: {} for each in sorted(media)}}


_SERVED = {
    200: _bytes("The file.", _BODY_HEADERS), 206: _bytes("The range of it.", _PART_HEADERS),
    304: {"description": "It hasn't changed.", "headers": _FILE_HEADERS},
}  # fmt: skip
GET_FILE = operation(
    "Get a file", "Exports",
    _SERVED | {307: {"description": "A link that needs no key and is good for five minutes.", "headers": {"Location": {"schema": text(format="uri"), "description": "The link."}}}},
    parameters=[
        EXPORT_ID, path("name", "The file's name.", f"leads_{EXPORT_EXAMPLE_ID}.csv"),
        query("redirect", {**BOOLEAN, "default": False}, "Answer with a link in place of the file."),
        query("purpose", line(PURPOSE_MAX), "Why: the audit trail keeps it."), *_CONDITIONS,
    ],
    errors=[410, 412, 416],
)  # fmt: skip
FOLLOW_LINK = operation(
    "Follow a link", "Exports", _SERVED, description="The link is the credential.",
    parameters=[path("token", "Signed: it names the file, and until when the link is good.", "dG9rZW4"), *_CONDITIONS], errors=[403, 404, 410, 412, 416], public=True,
)  # fmt: skip

# ---- manifests

_PIECE = shown({"bytes": COUNT, "sha256": SHA256})
_FRAME = {
    "type": "object", "description": "What stands around the rows: head, separator (between two parts) and tail; `empty` in a file without rows.",
    "properties": {"head": _PIECE, "separator": _PIECE, "tail": _PIECE, "empty": _PIECE},
}  # fmt: skip
_PART = shown({
    "number": whole(1), "offset": COUNT, "rows": COUNT, "bytes": COUNT, "sha256": SHA256, "first_key": nullable(text()), "last_key": nullable(text()),
})  # fmt: skip
_REDACTION = shown(
    {
        "profile": text(), "columns": listed(shown({"column": text(), "rule": one_of(get_args(Rule)), "values": nullable(COUNT)})),
        "patterns": listed(shown({"name": text(), "matches": nullable(COUNT)})),
    },
    description="What was redacted, and how often: docs/redaction.md.",
)  # fmt: skip
_SIGNATURE = shown({"alg": {"const": ALGORITHM}, "key_id": text(), "value": text("base64")})
MANIFEST = Component("Manifest", shown(
    {
        "export_id": text(), "request": {"type": ["object", "null"]}, "snapshot": text(), "versions": {"type": "object", "additionalProperties": {"type": "string"}},
        "rows_planned": COUNT, "excluded": listed(shown({"reason": text(), "rows": COUNT})), "reproduces": text("The export whose bytes these are."), "redaction": _REDACTION,
        "files": listed(shown({
            "name": text(), "format": one_of(formats.names()), "media_type": text(), "rows": COUNT, "bytes": COUNT, "sha256": SHA256, "frame": _FRAME, "parts": listed(_PART),
        })),
        "signature": _SIGNATURE,
    },
    optional=("reproduces", "redaction"),
    description="What was delivered, signed: docs/manifests.md.",
    examples=[{
        "export_id": EXPORT_EXAMPLE_ID, "request": {"dataset": "leads"}, "snapshot": "742:742:", "versions": {"waybill": "0.1.0", "manifest": "2"}, "rows_planned": 0, "excluded": [], "files": [],
        "signature": {"alg": ALGORITHM, "key_id": "UCHobUMg_Emdnr…", "value": "…"},
    }],
))  # fmt: skip
GET_MANIFEST = operation(
    "Get the signed manifest", "Exports", {200: answer("In RFC 8785 form, as it was signed.", MANIFEST, headers=_NAMED)}, parameters=[EXPORT_ID], errors=[410],
    description="`waybill verify` checks files and manifest offline.",
)  # fmt: skip

# ---- signing keys

_KEY_ID = path("key_id", "The key's JWK thumbprint.", "UCHobUMg_EmdnrY0c2r1jWnXo0T9G6mP3S4vQkZ8y1A")
_TIMES = {name: nullable(INSTANT) for name in ("created_at", "retired_at", "revoked_at")}
_JWK = shown({
    "kty": {"const": "OKP"}, "crv": {"const": ALGORITHM}, "alg": {"const": ALGORITHM}, "use": {"const": "sig"}, "kid": text(), "x": text(), "pem": text("The same key, for openssl."), **_TIMES,
})  # fmt: skip
_STATUSES = ("current", "retired", "revoked")
LIST_PUBLIC_KEYS = operation(
    "The public keys that manifests are signed with", "About",
    {200: answer("A JWK set (RFC 7517). Retired keys sign no more, and what they signed is good; what a revoked one signed isn't.", Component("PublicKeys", shown({"keys": listed(_JWK)}, examples=[{"keys": []}])))},
    public=True,
)  # fmt: skip
LIST_SIGNING_KEYS = operation(
    "List the signing keys", "Operator",
    {200: answer("All of them.", Component("SigningKeys", shown(
        {"data": listed(shown({"id": text(), "status": one_of(_STATUSES), **_TIMES}))},
        examples=[{"data": [{"id": _KEY_ID["example"], "status": "current", "created_at": "2026-04-01T06:00:00Z", "retired_at": None, "revoked_at": None}]}],
    )))},
)  # fmt: skip
ROTATE_SIGNING_KEY = operation(
    "Sign with a new key from now on", "Operator",
    {201: answer("The new key's id.", Component("RotatedSigningKey", shown(
        {"id": text(), "retired": nullable(text("The one that signs no more."))}, examples=[{"id": _KEY_ID["example"], "retired": None}],
    )))},
    body=NOTHING,
)  # fmt: skip
REVOKE_SIGNING_KEY = operation(
    "Revoke a signing key",
    "Operator",
    {204: answer("Nothing that it signed counts any more.")},
    parameters=[_KEY_ID],
    body=NOTHING,
    errors=[409],
)

# ---- the audit trail's checkpoints

_CHECKPOINT = Component("AuditCheckpoint", shown(
    {"org_id": nullable(text()), "seq": whole(1), "hash": SHA256, "at": INSTANT, "signature": _SIGNATURE},
    description="At that instant this was the newest entry of the chain; signed as manifests are.",
    examples=[{"org_id": "org_synaptiq", "seq": 12, "hash": "5e" * 32, "at": "2026-04-01T06:00:00.000Z", "signature": {"alg": ALGORITHM, "key_id": "UCHobUMg_Emdnr…", "value": "…"}}],
))  # fmt: skip
LIST_CHECKPOINTS = operation(
    "List the signed checkpoints of the audit trail",
    "Organisation",
    {200: answer("A page of them, newest first.", page(_CHECKPOINT))},
    parameters=PAGING,
)
LIST_OPERATORS_CHECKPOINTS = operation(
    "List the signed checkpoints of the operator's audit trail",
    "Operator",
    {200: answer("A page of them, newest first.", page(_CHECKPOINT))},
    parameters=PAGING,
)
