"""What the HTTP operations on exports say of themselves (see shared/openapi.py). Names, formats, filters and limits are those of the registries and checks."""

from typing import Any

from services.export_request.core.destinations import DESTINATIONS_MAX, RECIPIENTS_MAX, TYPES
from services.export_request.core.life import Status
from services.export_request.core.profiles import PROFILE_NAME
from services.export_request.core.request.identity import KEY_MAX
from services.export_request.core.request.options import COMPRESSIONS, LABEL_NAME_MAX, LABEL_VALUE_MAX, LABELS_MAX, PASSWORD, WHOLE_MAX
from services.export_request.core.request.resolving import COLUMNS_MAX
from services.export_request.core.schedules.bodies import PREVIOUS, measurable
from shared import ids
from shared.audit import PURPOSE_MAX
from shared.checks import EMAIL, EMAIL_MAX, SEEN
from shared.datasets import registry as datasets
from shared.datasets.base import Dataset
from shared.datasets.plan import ColumnType
from shared.datasets.workbooks import Workbook
from shared.formats import registry as formats
from shared.openapi import (
    BOOLEAN,
    COUNT,
    EXPORT_EXAMPLE_ID,
    EXPORT_ID,
    INSTANT,
    LOCATION,
    NOTHING,
    PAGING,
    RETRY_AFTER,
    SHA256,
    TIMEZONE,
    WHEN,
    Component,
    answer,
    body,
    following,
    header,
    line,
    link,
    listed,
    nullable,
    of_model,
    one_of,
    operation,
    page,
    query,
    shown,
    taken,
    text,
    whole,
)

ID_MAX = 100
IDEMPOTENCY_KEY = Component(
    "idempotency_key",
    header(
        "Idempotency-Key", text(minLength=1, maxLength=KEY_MAX, pattern="^[ -~]+$"),
        "The same key and body gives the same export, also when one came over Kafka; the same key with another body is a 409.",
    ),
    "parameters",
)  # fmt: skip


# ---- what is asked for

DESTINATIONS = Component("NamedDestinations", listed(
    {
        "oneOf": [
            taken({"type": one_of(TYPES), "id": text("The destination's id.", minLength=1, maxLength=ID_MAX, pattern="^[ -~]+$", examples=["dst_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A"])}, ["type", "id"]),
            taken({"type": {"type": "string", "const": "email"}, "to": listed(text(pattern=EMAIL, maxLength=EMAIL_MAX), minItems=1, maxItems=RECIPIENTS_MAX, uniqueItems=True, description="Needs the scope exports:download.")}, ["type", "to"]),
        ],
    },
    maxItems=DESTINATIONS_MAX, uniqueItems=True, description="Where the files are brought when they are there (docs/destinations.md); none twice.",
))  # fmt: skip


def _export_of(dataset: Dataset, scheduled: bool = False) -> Component:
    """The body for one dataset; `scheduled`: as a schedule asks for it, whose windows are the range."""
    asked = {key: None for column in dataset.columns() if column.asked for key in [column.key]}
    columns = {"anyOf": [one_of(asked), text("A custom property of the organisation.", pattern="^custom_.")]}
    ranged = (
        {}
        if dataset.range_rule == "refused" or scheduled
        else {"from": {**WHEN, "description": "The first instant."}, "to": {**WHEN, "description": "The first instant after."}}
    )
    properties: dict[str, Any] = {
        "dataset": {"type": "string", "const": dataset.name},
        "format": one_of(dataset.formats, default=dataset.default_format),
        "formats": listed(one_of(dataset.formats), minItems=1, uniqueItems=True, description="In place of `format`: one scan, several files."),
        **ranged,
        **({"granularity": one_of(dataset.granularities, default=dataset.granularities[0])} if dataset.granularities else {}),
        "filter": of_model(dataset.filter_model),
        **({} if isinstance(dataset, Workbook) else {"columns": listed(columns, minItems=1, maxItems=COLUMNS_MAX, uniqueItems=True, description="In this order; without them all that the format has by default.")}),
        **({"since": {"type": "string", "const": PREVIOUS, "description": "Each run holds what changed since the one before it; the first one is whole."}} if scheduled and dataset.name in measurable() else {}),
        **({} if dataset.entity is None or scheduled else {"since": text(
            "The id of an ended export of this dataset: only what changed since its instant, and what is gone in a file of its own. Filter, range, columns and redaction are that export's.",
            pattern="^[A-Za-z0-9_-]{1,100}$",
        )}),
        "timezone": {**TIMEZONE, "description": "An IANA name; without one the organisation's."},
        "compression": one_of(COMPRESSIONS, default="none"),
        "spreadsheet_safe": {**BOOLEAN, "default": True, "description": "Formulas can't run (csv only); lossless."},
        "max_rows_per_file": whole(1, WHOLE_MAX),
        "expires_in_seconds": whole(1, description="At most the organisation's retention."),
        "labels": {
            "type": "object", "maxProperties": LABELS_MAX,
            "propertyNames": {"pattern": f"^{SEEN}+$", "minLength": 1, "maxLength": LABEL_NAME_MAX},
            "additionalProperties": text(maxLength=LABEL_VALUE_MAX, pattern=f"^{SEEN}*$"),
        },
        "password": text(
            "Encrypts the files; letters and digits. For datasets and organisations that require one, and no others. It is kept, encrypted, until the export has ended.",
            pattern=f"^{PASSWORD.pattern}$", writeOnly=True,
        ),
        **({} if scheduled else {"destinations": DESTINATIONS}),
        "redaction": text("The organisation's profile (settings, redaction_profiles) by its name; its default one holds too.", pattern=f"^{PROFILE_NAME.pattern}$"),
        "purpose": line(PURPOSE_MAX, description="Why: the audit trail keeps it. Organisations may require it."),
    }  # fmt: skip
    ranged_rule = dataset.range_rule == "required"
    required = [
        "dataset",
        *(["from", "to"] if ranged_rule and dataset.entity is None and not scheduled else []),
        *(["password", "purpose"] if dataset.protected else []),
    ]
    title = f"{dataset.name} export" + (", scheduled" if scheduled else "")
    schema = taken(properties, required, title=title, description=dataset.description)
    either = (
        {"anyOf": [{"required": ["from", "to"]}, {"required": ["since"]}]}
        if ranged_rule and dataset.entity is not None and not scheduled
        else {}
    )
    return Component(_component(dataset.name, scheduled), {**schema, **either, "not": {"required": ["format", "formats"]}})


def _component(dataset: str, scheduled: bool) -> str:
    return "".join(word.capitalize() for word in dataset.split("-")) + ("ScheduledExport" if scheduled else "ExportRequest")


def _of_any_dataset(name: str, scheduled: bool) -> Component:
    mapping = {n: f"#/components/schemas/{_component(n, scheduled)}" for n in datasets.names()}
    return Component(name, {
        "oneOf": [_export_of(datasets.get(n), scheduled) for n in datasets.names()], "discriminator": {"propertyName": "dataset", "mapping": mapping},
    })  # fmt: skip


EXPORT_REQUEST, SCHEDULED_EXPORT = _of_any_dataset("ExportRequest", False), _of_any_dataset("ScheduledExport", True)
_REQUEST: dict[str, Any] = {
    "dataset": "leads", "format": "csv", "from": "2026-03-01", "to": "2026-04-01", "filter": {"status": ["qualified"]},
    "timezone": "Europe/Brussels", "labels": {"team": "sales"},
}  # fmt: skip


# ---- what is answered

PROGRESS = Component("Progress", shown({
    "rows_planned": COUNT, "rows_written": COUNT, "chunks_planned": COUNT, "chunks_done": COUNT,
    "percent": nullable({"type": "number", "minimum": 0, "maximum": 100, "description": "Of the rows; null until the plan says how many there are."}),
    "eta_seconds": nullable(whole(0)),
    "queue_position": nullable(whole(0, description="While it waits for its turn.")),
}))  # fmt: skip
EXPORT_FILE = Component("ExportFile", shown({
    "name": text(), "format": one_of(formats.names()), "media_type": text(), "rows": COUNT, "bytes": COUNT, "sha256": SHA256, "url": text(format="uri"),
}))  # fmt: skip
EXCLUDED = Component("ExcludedRows", shown({"reason": text(), "rows": COUNT}))
_EXPORT_EXAMPLE: dict[str, Any] = {
    "id": EXPORT_EXAMPLE_ID, "request_id": None, "rerun_of": None, "schedule_id": None, "dataset": "leads", "formats": ["csv"], "format": "csv", "status": "completed", "request": _REQUEST,
    "progress": {"rows_planned": 2, "rows_written": 2, "chunks_planned": 1, "chunks_done": 1, "percent": 100, "eta_seconds": None, "queue_position": None},
    "approval": None, "hold": None, "created_at": "2026-04-01T06:00:00Z", "started_at": "2026-04-01T06:00:00Z", "completed_at": "2026-04-01T06:00:01Z", "expires_at": "2026-05-01T06:00:00Z",
    "files": [{
        "name": f"leads_{EXPORT_EXAMPLE_ID}.csv", "format": "csv", "media_type": "text/csv; charset=utf-8", "rows": 2, "bytes": 271,
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "url": f"https://waybill.example/v1/exports/{EXPORT_EXAMPLE_ID}/files/leads_{EXPORT_EXAMPLE_ID}.csv",
    }],
    "manifest_url": f"https://waybill.example/v1/exports/{EXPORT_EXAMPLE_ID}/manifest", "excluded": [], "error": None,
}  # fmt: skip
_PREVIEW_EXAMPLE: dict[str, Any] = {
    "dataset": "leads", "format": "csv", "columns": ["id", "email"], "headers": ["id", "email"], "rows": [["lead_01", "ada@example.com"]], "sheets": None,
    "estimated_rows": 1, "estimated_bytes": 47, "estimated_bytes_by_format": {"csv": 47}, "estimated_seconds": 0.3, "estimate": "counted", "personal_columns": ["email"], "problems": [],
}  # fmt: skip
EXPORT = Component("Export", shown(
    {
        "id": text(), "request_id": nullable(text("The idempotency key.")), "rerun_of": nullable(text("The export that this one runs again.")),
        "schedule_id": nullable(text("The schedule whose run it is.")),
        "dataset": one_of(datasets.names()), "formats": listed(one_of(formats.names()), minItems=1), "format": one_of(formats.names(), description="The first of them."),
        "status": one_of(Status), "request": {"type": ["object", "null"], "description": "As it was asked for, without secrets."}, "progress": PROGRESS,
        "approval": nullable(shown({
            "rows_above": COUNT, "awaiting_since": INSTANT, "decided_by": nullable(text("The key that approved or rejected it.")), "decided_at": nullable(INSTANT),
        }, description="Of an export that waits for an approval, or did.")),
        "hold": nullable(shown({
            "reason": text(), "held_by": text("The key that holds it."), "held_at": INSTANT,
        }, description="Of an export that is held: it doesn't expire, and can't be deleted.")),
        "created_at": INSTANT, "started_at": nullable(INSTANT), "completed_at": nullable(INSTANT), "expires_at": INSTANT,
        "files": listed(EXPORT_FILE), "manifest_url": nullable(text(format="uri")), "excluded": listed(EXCLUDED, description="Planned and not written; rows count once."),
        "error": nullable(shown({"code": text("docs/errors.md explains each."), "message": text()})),
    },
    examples=[_EXPORT_EXAMPLE],
))  # fmt: skip
_THIS = {"export_id": "$response.body#/id"}
_NEXT = {
    "Follow": link("get_export", "How far it is.", **_THIS), "FollowLive": link("get_export_events", "How far it is, as it happens.", **_THIS),
    "Cancel": link("delete_export", "Cancel it, or delete it once it has ended.", **_THIS), "Manifest": link("get_manifest", "What its files are, signed.", **_THIS),
    "RunAgain": link("rerun_export", "At its own instant.", **_THIS),
}  # fmt: skip
_COLUMN = shown({
    "sheet": nullable(text("Of a workbook, the sheet that it is on.")), "key": text(), "header": text(), "type": one_of(ColumnType), "description": text(), "personal": BOOLEAN, "formats": listed(text(), description="The formats that can have it."),
})  # fmt: skip
DATASET = Component("Dataset", shown(
    {
        "name": text(), "description": text(), "formats": listed(text()), "default_format": text(), "columns": listed(_COLUMN),
        "filters": listed(shown({"name": text(), "description": text()})), "range": one_of(("required", "optional", "refused")),
        "deltas": {**BOOLEAN, "description": "Whether an export can be measured from another one (`since`)."},
        "limits": shown({
            "range_days_max": nullable(whole(1)), "rows_per_file_max": nullable(whole(1, description="More are split over numbered files.")),
            "rows_found_max": nullable(whole(1, description="Of an export by a search (`q`).")),
        }),
        "requires": listed(text(), description="What a request must bring, and the scope that its key must have."), "compression": listed(one_of(COMPRESSIONS)),
    }
))  # fmt: skip
_DATASETS_EXAMPLE: dict[str, Any] = {"data": [{
    "name": "leads", "description": "Leads with their score and custom properties.", "formats": ["csv", "json"], "default_format": "csv",
    "columns": [{"sheet": None, "key": "email", "header": "email", "type": "text", "description": "E-mail address", "personal": True, "formats": ["csv", "json"]}],
    "filters": [{"name": "status", "description": ""}], "range": "optional", "deltas": True,
    "limits": {"range_days_max": 1100, "rows_per_file_max": None, "rows_found_max": None}, "requires": [], "compression": ["none", "gzip", "zstd"],
}]}  # fmt: skip


_SHOWN = {
    "columns": listed(text(), description="Keys of the columns, in order."), "headers": listed(text(), description="As the file names them."),
    "rows": listed(listed(text()), description="The first 50 as they would be written: cells as the format's readers show them, of JSON as they stand in the file."),
}  # fmt: skip
PREVIEW = Component("ExportPreview", shown(
    {
        "dataset": one_of(datasets.names()), "format": one_of(formats.names(), description="Which the rows are shown in: the first that is asked for."), **_SHOWN,
        "sheets": nullable(listed(shown({"name": text(), **_SHOWN}), description="Of a workbook every sheet; `rows` are those of the first.")),
        "estimated_rows": COUNT, "estimated_bytes": whole(0, description="Of all files of all formats."),
        "estimated_bytes_by_format": {"type": "object", "additionalProperties": COUNT}, "estimated_seconds": {"type": "number", "minimum": 0},
        "estimate": one_of(("counted", "extrapolated"), description="Whether all rows were counted in time."),
        "personal_columns": listed(text(), description="Keys of columns with a person's data; of a workbook `<sheet>.<key>`."),
        "problems": listed(shown({
            "row": nullable(whole(1, description="Over all rows, from 1.")), "column": nullable(text(description="Its header.")), "message": text(),
        }), description="What would break or stand in the way, and where."),
    },
    examples=[_PREVIEW_EXAMPLE],
))  # fmt: skip


def _as_export(description: str, headers: Any = RETRY_AFTER) -> dict[str, Any]:
    return answer(description, EXPORT, headers=headers, links=_NEXT)


EXPORT_EVENT = Component("ExportEvent", shown({
    "event": one_of(("progress", "end")), "data": text(contentMediaType="application/json", contentSchema=EXPORT),
}, description="One event of the stream."))  # fmt: skip


# ---- operations

POST_EXPORT = operation(
    "Ask for an export", "Exports", {202: _as_export("Accepted: its instant is now.", LOCATION | RETRY_AFTER)},
    description="Who asks twice with one `Idempotency-Key` gets one export. `Location` says where to look for it, `Retry-After` when.",
    parameters=[IDEMPOTENCY_KEY], body=body(EXPORT_REQUEST, _REQUEST), errors=[404, 409, 410, 422, 429],
)  # fmt: skip
PREVIEW_EXPORT = operation(
    "See what an export would hold", "Exports", {200: answer("Its first rows, and what to expect of it.", PREVIEW)},
    description="A dry run: nothing is written, counted against a limit or told; the audit trail notes who looked, at which columns and why. No password is needed.",
    body=body(EXPORT_REQUEST, _REQUEST), errors=[404, 409, 410, 422],
)  # fmt: skip
APPROVE_EXPORT = operation(
    "Approve an export that waits for it", "Exports", {200: _as_export("It goes on. Its files are kept as long as was asked for, from now.")},
    description="Exports of more rows than the setting `approval_rows_threshold` wait in `awaiting_approval` for somebody else than who asked (403). Approving again changes nothing.",
    parameters=[EXPORT_ID], body=NOTHING, errors=[409],
)  # fmt: skip
REJECT_EXPORT = operation(
    "Reject an export that waits for an approval", "Exports", {200: _as_export("It has ended as failed, with the code `rejected`.", {})},
    parameters=[EXPORT_ID], body=body(Component("ExportRejection", taken({"reason": line(PURPOSE_MAX, description="The export and the audit trail keep it.")}, title="Rejection")), {"reason": "Ask for fewer columns."}, required=False), errors=[409],
)  # fmt: skip
HOLD_EXPORT = operation(
    "Hold an export", "Exports", {200: _as_export("It is held: its files stay, and it doesn't expire, until it is released.", {})},
    description="A legal hold, of a completed export (else 409). It can't be deleted then either, and a person's erasure doesn't recall it before it is released. Again with another reason: that one is shown from now on.",
    parameters=[EXPORT_ID], body=body(Component("ExportHold", taken({"reason": line(PURPOSE_MAX, description="The export and the audit trail keep it.")}, ["reason"], title="Hold")), {"reason": "Case 2026-117"}), errors=[409],
)  # fmt: skip
RELEASE_EXPORT = operation(
    "Release an export that is held", "Exports", {200: _as_export("It isn't held (any more). Where its time is over, it expires within seconds.", {})}, parameters=[EXPORT_ID],
)  # fmt: skip
RERUN_EXPORT = operation(
    "Run an export again at its own instant", "Exports", {202: _as_export("Accepted. Its files will be byte for byte the same, or it fails.", LOCATION | RETRY_AFTER)},
    parameters=[EXPORT_ID, IDEMPOTENCY_KEY], body=NOTHING, errors=[409, 410, 422],
)  # fmt: skip
LIST_EXPORTS = operation(
    "List exports, newest first", "Exports", {200: answer("A page of them.", page(EXPORT), links=following("list_exports"))},
    parameters=[
        query("status", one_of(Status), "One of these.", many=True), query("dataset", one_of(datasets.names()), "One of these.", many=True),
        query("schedule_id", text(pattern=ids.PATTERN, examples=["sch_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A"]), "Runs of this schedule."),
        query("label", text(pattern="^[^=\\x00]+=[^\\x00]*$", examples=["team=sales"]), "`<name>=<value>`; all of them.", many=True),
        query("created_after", WHEN, "Asked for after this (a date: midnight UTC)."), query("created_before", WHEN, "Asked for before this."),
        query("held", one_of(("true",)), "Only those that are held."), *PAGING,
    ],
)  # fmt: skip
GET_EXPORT = operation(
    "Look at an export", "Exports", {200: _as_export("How far it is. While it runs, `Retry-After` says when to look again.")}, parameters=[EXPORT_ID],
)  # fmt: skip
DELETE_EXPORT = operation(
    "Cancel a running export, or delete an ended one", "Exports",
    {
        202: _as_export("It is cancelled: its parts are removed, it stays readable."),
        204: answer("It had ended, and is deleted with its manifest and files."),
    },
    description="One that is held can't be deleted: 409.",
    parameters=[EXPORT_ID], errors=[409],
)  # fmt: skip
GET_EXPORT_EVENTS = operation(
    "Follow an export live", "Exports",
    {
        200: answer(
            "Server-sent events: `progress` whenever something changed, `end` with the last state; the data of each is the export.",
            EXPORT_EVENT, media="text/event-stream",
        ),
    },
    parameters=[EXPORT_ID],
)  # fmt: skip
LIST_DATASETS = operation(
    "What can be exported", "Exports",
    {200: answer("Every dataset: columns, filters, formats, limits.", Component("Datasets", shown({"data": listed(DATASET)}, examples=[_DATASETS_EXAMPLE])))},
)  # fmt: skip
