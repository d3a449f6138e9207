"""What the operations of the Leads API say of themselves (see shared/openapi.py). Values and limits are those of the checks."""

from typing import Any

from services.ingest.core import lead_search
from services.ingest.core import leads as rules
from services.ingest.core.lead_lists import LIMIT, LIMIT_MAX, ORDERS, PAGE_MAX, SORTS
from services.ingest.core.types import WHOLE_NUMBER_MAX
from shared.openapi import (
    BOOLEAN,
    COUNT,
    INSTANT,
    LOCATION,
    Component,
    answer,
    body,
    etag,
    header,
    if_match,
    link,
    listed,
    nullable,
    one_of,
    operation,
    path,
    query,
    shown,
    taken,
    text,
    whole,
)

KEY_MAX = 255
_ID = "lead_01HQ3VXK9BWMN4F6T2P8R5GYSC"
LEAD_ID = path("lead_id", "The lead's id, percent-encoded.", _ID)
_STATUS, _SOURCE = one_of(rules.STATUSES), one_of(rules.SOURCES)
_LINE = {"type": "string", "pattern": rules.TEXT}
ETAG = etag("Names the lead's version, for `If-Match`.")
_TIME = {
    "type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}], "description": "A date is its midnight in UTC.", "examples": ["2026-04-01"],
}  # fmt: skip

_EXAMPLE: dict[str, Any] = {
    "id": _ID, "email": "sarah.chen@acmecorp.com", "name": "Sarah Chen", "company": "Acme Corp", "title": "VP of Sales", "phone": "+1-555-0142",
    "status": "qualified", "score": 87, "source": "chat", "tags": ["enterprise", "demo-requested"],
    "customFields": {"industry": "SaaS", "teamSize": "50-100"}, "firstSeenAt": "2026-04-01T09:15:00.000Z", "lastActiveAt": "2026-04-05T11:42:00.000Z",
    "createdAt": "2026-04-01T09:15:00.000Z", "updatedAt": "2026-04-05T11:42:00.000Z",
}  # fmt: skip
_VALUE = {"type": ["string", "number", "boolean", "null"]}
_SHOWN: dict[str, Any] = {
    "id": text(), "email": text("An imported lead's may be any text."), "name": nullable(text()), "company": nullable(text()), "title": nullable(text()),
    "phone": nullable(text()), "status": _STATUS, "score": whole(0, 100, description="0 until there is one."), "source": _SOURCE, "tags": listed(text()),
    "customFields": {"type": "object", "additionalProperties": _VALUE},
}  # fmt: skip
_TIMES = {"firstSeenAt": INSTANT, "lastActiveAt": INSTANT, "createdAt": INSTANT, "updatedAt": INSTANT}
LEAD = Component("Lead", shown({**_SHOWN, "assignedTo": text("There where somebody is."), **_TIMES}, ["assignedTo"], examples=[_EXAMPLE]))
WHOLE_LEAD = Component("WholeLead", shown(
    {**_SHOWN, "conversationCount": COUNT, "lastIntent": nullable(text()), "assignedTo": nullable(text()), **_TIMES},
    examples=[_EXAMPLE | {"conversationCount": 3, "lastIntent": "demo_request", "assignedTo": "user_01HQ3VXK9BWMN4F6T2P8R5GYSD"}],
))  # fmt: skip
PAGINATION = Component("Pagination", shown(
    {
        "page": whole(1), "limit": whole(1, LIMIT_MAX), "total": {**COUNT, "description": "Above 10,000 it may be some seconds old."}, "totalPages": COUNT,
        "hasMore": BOOLEAN,
    },
))  # fmt: skip

_TAKEN: dict[str, Any] = {
    "email": {"type": "string", "format": "email", "maxLength": rules.EMAIL_MAX, "description": "No other lead of the organisation may have it, in any case."},
    "name": {**_LINE, "maxLength": rules.TEXT_MAX}, "company": {**_LINE, "maxLength": rules.TEXT_MAX}, "title": {**_LINE, "maxLength": rules.TEXT_MAX},
    "phone": {"type": "string", "pattern": rules.PHONE, "description": "E.164; separators between digits are fine."}, "status": _STATUS, "source": _SOURCE,
    "tags": listed({**_LINE, "maxLength": rules.TAG_MAX}, maxItems=rules.LIST_MAX),
    "customFields": {
        "type": "object", "maxProperties": rules.LIST_MAX, "propertyNames": {"minLength": 1, "maxLength": rules.NAME_MAX, "pattern": rules.TEXT},
        "additionalProperties": {**_VALUE, "maxLength": rules.VALUE_MAX, "minimum": -WHOLE_NUMBER_MAX, "maximum": WHOLE_NUMBER_MAX}, "description": "Replaced whole.",
    },
    "assignedTo": {**_LINE, "maxLength": rules.ID_MAX, "description": "The user id of the sales rep."},
}  # fmt: skip
_EMPTIED = ("name", "company", "title", "phone", "tags", "customFields", "assignedTo")
NEW_LEAD = Component("NewLead", taken(
    {name: schema if name == "email" else nullable(schema) for name, schema in _TAKEN.items()}, ["email"], description="Null is the same as left out.",
))  # fmt: skip
LEAD_CHANGES = Component("LeadChanges", taken(
    {name: nullable(schema) if name in _EMPTIED else schema for name, schema in _TAKEN.items()}, minProperties=1, description="Null empties a field.",
))  # fmt: skip

PAGE_PARAMETERS = (
    query("page", whole(1, PAGE_MAX, default=1), "A page beyond the end is empty."),
    query("limit", whole(1, LIMIT_MAX, default=LIMIT), "Leads of a page."),
    query("status", _STATUS, "Leads of this status."),
)
LINKS = {
    "lead": link("get_lead", "All of it.", lead_id="$response.body#/id"),
    "change": link("patch_lead", "Change it.", lead_id="$response.body#/id"),
}

LIST_LEADS = operation(
    "List leads", "Leads",
    {200: answer("A page of them.", Component("LeadPage", shown({"data": listed(LEAD), "pagination": PAGINATION})))},
    parameters=[
        *PAGE_PARAMETERS, query("source", _SOURCE, "Leads of this source."),
        query("sortBy", one_of(SORTS, default=SORTS[0]), "What they are sorted by."), query("sortOrder", one_of(ORDERS, default="desc"), "Which way."),
        query("createdAfter", _TIME, "Leads created after this."), query("createdBefore", _TIME, "Leads created before this."),
    ],
    errors=[422],
)  # fmt: skip
_HIT = {name: _SHOWN[name] for name in ("id", "email", "name", "company", "status", "score")}
SEARCH_LEADS = operation(
    "Search leads", "Leads",
    {200: answer("What was found, the best first.", Component("LeadHits", shown({
        "data": listed(shown({
            **_HIT, "matchField": text("Where: `name`, `email`, `company` or `customFields.<name>`.", examples=["company"]), "lastActiveAt": INSTANT,
        })),
        "pagination": PAGINATION,
    })))},
    description="All words have to be found, each by its beginning; where that finds little, with one typing error in each. 1,000 leads are looked at, at most.",
    parameters=[
        {**query("q", text(minLength=lead_search.TEXT_MIN, maxLength=lead_search.TEXT_MAX), "What to look for."), "required": True},
        *PAGE_PARAMETERS,
    ],
)  # fmt: skip
POST_LEAD = operation(
    "Create a lead", "Leads", {201: answer("It is made.", LEAD, headers={**LOCATION, **ETAG}, links=LINKS)},
    parameters=[header(
        "Idempotency-Key", text(minLength=1, maxLength=KEY_MAX, pattern="^[ -~]+$"),
        "The same key and body gives the same answer; the same key with another body is a 409.",
    )],
    body=body(NEW_LEAD, {
        "email": "james.rodriguez@techstart.io", "name": "James Rodriguez", "company": "TechStart", "title": "CTO", "phone": "+1-555-0198", "status": "new",
        "source": "api", "tags": ["inbound", "startup"], "customFields": {"industry": "FinTech", "teamSize": "10-25", "budget": "$5k-$10k/mo"},
    }),
    errors=[409, 410],
)  # fmt: skip
GET_LEAD = operation("Get a lead", "Leads", {200: answer("It.", WHOLE_LEAD, headers=ETAG)}, parameters=[LEAD_ID])
PATCH_LEAD = operation(
    "Change a lead", "Leads", {200: answer("As it is now.", LEAD, headers=ETAG)},
    description="Changes the fields that the body names; sets `updatedAt` and `lastActiveAt`.",
    parameters=[LEAD_ID, if_match("lead's")],
    body=body(LEAD_CHANGES, {"status": "qualified", "tags": ["inbound", "startup", "hot-lead"]}),
    errors=[409, 412],
)  # fmt: skip
_ERASURE_EXAMPLE = {"id": "era_01HQ3VXK9BWMN4F6T2P8R5GYSC", "kind": "lead", "status": "completed", "erased_at": "2026-04-05T11:42:00.000Z", "in_topics_until": "2026-04-12T11:42:00.000Z",
                    "exports": [{"export_id": "exp_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A", "was": "completed", "files": ["leads_exp_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A.csv"],
                                 "destinations": [{"delivery_id": "dlv_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A", "destination": "dst_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A", "type": "s3", "status": "delivered"}],
                                 "recalled_at": "2026-04-05T11:42:01.000Z"}]}  # fmt: skip
_RECALLED = shown({
    "export_id": text(), "was": text("Its status before: `completed`, or that of one that was running."), "files": listed(text(), description="What it had published; deleted."),
    "destinations": listed(shown({
        "delivery_id": text(), "destination": nullable(text("Null: addresses that no destination stands for.")), "type": text(),
        "status": text("Of the delivery; one that isn't `delivered` brought some of the files."),
    }), description="Where files of it were brought: ask there to delete them. As long as deliveries are kept."),
    "recalled_at": {**nullable(INSTANT), "description": "Null while the export is held: it is recalled once it is released."},
})  # fmt: skip
ERASURE = Component("Erasure", shown(
    {
        "id": text(), "kind": one_of(["lead", "contact", "conversation"], description="`conversation`: one that came after the person's erasure, of which something was there."),
        "status": one_of(["completed"]), "erased_at": INSTANT,
        "in_topics_until": {**INSTANT, "description": "Until then Kafka may hold records of the person that were sent before."},
        "exports": listed(_RECALLED, description="Exports that may have held the person, within seconds."),
    },
    examples=[_ERASURE_EXAMPLE],
))  # fmt: skip
_ERASED = {202: answer("Done; what is told of it says nothing of the person.", ERASURE, headers=LOCATION)}
_ERASES = (
    "Every version of the person's data and what was said in their conversations is gone at once; the id stays blocked (docs/erasure.md)."
)
DELETE_LEAD = operation("Erase a lead", "Leads", _ERASED, description=_ERASES, parameters=[LEAD_ID])
DELETE_CONTACT = operation(
    "Erase a contact", "Leads", _ERASED, description=_ERASES, parameters=[path("contact_id", "The contact's id, percent-encoded.", "contact_1")],
)  # fmt: skip
GET_ERASURE = operation(
    "Get an erasure", "Leads", {200: answer("It.", ERASURE)}, parameters=[path("erasure_id", "The erasure's id.", "era_01HQ3VXK9BWMN4F6T2P8R5GYSC")],
)  # fmt: skip
