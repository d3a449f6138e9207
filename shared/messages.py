"""The internal messages. Each class has its Avro schema in schemas/messages/<ClassName>.avsc and an example beside it.

Commands are imperative (`FormatChunk`), events past tense (`ChunkFormatted`). A field added later needs a default in both places, so
that an older reader and an older message still work (`python -m tools.check_schemas` holds this).
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from shared.scoring.facts import Plain

Note = bytes  # beside a field that is called `bytes`


@dataclass(frozen=True)
class Message:
    """Base of all messages; a subclass is flat data that Avro can carry."""

    def to_record(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class FormatChunk(Message):
    """export_request → formatter: format the rows in (lower, upper] in every format of the plan spec.

    `spec` is `PlanSpec` as JSON. `lower` is null for the first chunk, `upper` null for a chunk of an empty export. `part_keys` fixes
    where each format's part goes, so that doing it again overwrites the same object with the same bytes.
    """

    export_id: str
    org_id: str
    number: int
    snapshot: str
    spec: str
    lower: list[str] | None
    upper: list[str] | None
    rows: int
    part_keys: dict[str, str]


@dataclass(frozen=True)
class Part:
    """One chunk's bytes in one format, as the formatter wrote them. `bytes`, `sha256` and `crc32` are of the stored (compressed) bytes.

    `note` is what the format has to know of the part to end the file that it is in.
    """

    format: str
    key: str
    rows: int
    bytes: int
    sha256: str
    first_key: str = ""
    last_key: str = ""
    crc32: int | None = None
    note: Note | None = None


@dataclass(frozen=True)
class ChunkFormatted(Message):
    """formatter → export_request: the parts of a chunk are in the store. `redacted`: what was redacted in it, by counter (shared/datasets/redaction.py).
    `unchanged`: rows of a delta that came out as they were."""

    export_id: str
    org_id: str
    number: int
    rows: int
    parts: list[Part]
    milliseconds: int = 0
    redacted: dict[str, int] = field(default_factory=dict)
    unchanged: int = 0


@dataclass(frozen=True)
class ChunkFailed(Message):
    """formatter → export_request: this chunk can't be formatted; the export ends as failed with this code."""

    export_id: str
    org_id: str
    number: int
    code: str
    message: str


@dataclass(frozen=True)
class AssemblyPart:
    """A part in its place in a file; `number` counts from 1 within the file. By `crc32` (null: by `sha256`) delivery knows its bytes again."""

    number: int
    key: str
    rows: int
    bytes: int
    sha256: str
    first_key: str = ""
    last_key: str = ""
    crc32: int | None = None
    note: Note | None = None


@dataclass(frozen=True)
class AssembleFile(Message):
    """export_request → delivery: the next run of parts of a file, contiguous with the one before; `last` closes the file.

    A file is head + part (separator part)* + tail, or `empty` when it has no row: these four come compressed where the file is. Of a binary format,
    `tail` is what the format makes the end of, with the notes of the parts.
    `files_total` and `manifest` (JSON without `files`) are set where `last` is: delivery writes the manifest when all files are whole.
    `sftp_folder`: where the file is to appear below the root of our SFTP server; empty: not there.
    """

    export_id: str
    org_id: str
    format: str
    file_number: int
    name: str
    media_type: str
    key: str
    head: bytes
    separator: bytes
    tail: bytes
    empty: bytes
    parts: list[AssemblyPart]
    last: bool
    express: bool
    files_total: int = 0
    manifest_key: str = ""
    manifest: str = ""
    expires_at: str = ""
    sftp_folder: str = ""


@dataclass(frozen=True)
class DiscardExport(Message):
    """export_request → delivery: remove the parts of an export, and its files too where `files` (cancelled, deleted, expired, failed)."""

    export_id: str
    org_id: str
    files: bool


@dataclass(frozen=True)
class ExportAssembled(Message):
    """delivery → export_request: the last part of every file is in; what is left is to complete the files in the store and to write the manifest."""

    export_id: str
    org_id: str


@dataclass(frozen=True)
class PublishedFile:
    """A file as published: what `sha256sum` and `wc -c` say of it."""

    format: str
    number: int
    name: str
    media_type: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ExportPublished(Message):
    """delivery → export_request: every file of the export is whole in the store, and its manifest was written last."""

    export_id: str
    org_id: str
    files: list[PublishedFile]


@dataclass(frozen=True)
class PublishFailed(Message):
    """delivery → export_request: the files can't be published; the export ends as failed with this code."""

    export_id: str
    org_id: str
    code: str
    message: str


@dataclass(frozen=True)
class AuditEntry(Message):
    """anyone of ours → the audit trail: who did what to what. `org_id` null: the operator's own doing, above all organisations.

    `actor` is `operator:<name>`, `key:<id>`, `kafka:<requested_by>`, `link:<id of the key that made it>` or `service:<name>`; `details` is JSON, never with secrets; `address` is where the request came from, `purpose` why,
    both empty where nobody said.
    """

    at: str
    actor: str
    org_id: str | None
    action: str
    subject: str
    details: str
    address: str = ""
    purpose: str = ""


@dataclass(frozen=True)
class LeadChanged(Plain, Message):
    """ingest → lead_scoring: what is known of a lead, as of `facts_version`, and the rules to score it by.

    `rules` is the setting `scoring` as JSON, null for the default model. The facts are those of shared/scoring/facts.py; one that no rule asks about is
    null, so that no more of a person travels than is needed. `qualification_score` is decimal text, so that it stays exact.
    """

    org_id: str
    lead_id: str
    facts_version: int
    model_version: int
    rules: str | None = None
    qualification_score: str | None = None

    def to_record(self) -> dict[str, Any]:
        return vars(self)


@dataclass(frozen=True)
class Reason:
    """A rule that gave points."""

    rule: str
    points: float


@dataclass(frozen=True)
class LeadScored(Message):
    """lead_scoring → ingest: the score of a lead by the facts and rules of `facts_version`. The newest by it holds, in whatever order they come."""

    org_id: str
    lead_id: str
    facts_version: int
    model_version: int
    score: int
    reasons: list[Reason]


MESSAGES: dict[str, type[Message]] = {
    cls.__name__: cls
    for cls in (
        FormatChunk,
        ChunkFormatted,
        ChunkFailed,
        AssembleFile,
        DiscardExport,
        ExportAssembled,
        ExportPublished,
        PublishFailed,
        AuditEntry,
        LeadChanged,
        LeadScored,
    )
}
