"""What each HTTP operation says of itself, declared beside its handler: `tools.openapi` gathers it from the routes into schemas/openapi.json.

Not declared here is what the routes say already: path, methods, the handler's name (the operationId), and who may ask (`shared.http.Requires`, `Operator`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from shared.checks import LINE
from shared.cursors import CURSOR_MAX
from shared.errors import (
    ApiError,
    Detail,
    conflict,
    forbidden,
    gone,
    invalid_request,
    not_found,
    too_large,
    unauthorized,
    unavailable,
    unprocessable,
)
from shared.http import LIMIT, LIMIT_MAX

Schema = Mapping[str, Any]

TAGS = {
    "Records": "What comes in: leads, conversations, messages and what belongs to them, the same as on the topic `records`.",
    "Leads": "The people that conversations are won for: create, change, find, erase. What is written here is in every export requested after the answer.",
    "Exports": "Ask for files, follow them, get them. An export shows one instant, and is complete or not complete.",
    "Schedules": "Exports that come by themselves: every hour, day or week, or as a cron expression says, window by window.",
    "Cursor API": "For machines that keep a copy: everything of one instant, page by page.",
    "Webhooks": "Be told when exports end (Standard Webhooks).",
    "Notifications": "What people should know: what failed, what is paused, what waits for them.",
    "Destinations": "Where files are brought when an export is complete, and what became of it.",
    "SFTP": "Who may fetch files over SFTP, and the keys by which clients know the server.",
    "Organisation": "Settings and API keys of the key's organisation.",
    "Operator": "For whoever runs Waybill, with the operator's token. Not there where none is configured.",
    "About": "What describes the rest. Needs no key.",
}


@dataclass(frozen=True)
class Component:
    """A named piece of the document, used as a value: where it stands, the document has a `$ref`. Two of one name must be the same."""

    name: str
    value: Mapping[str, Any]
    kind: str = "schemas"


# ---- schemas


def shown(properties: Mapping[str, Any], optional: Iterable[str] = (), **more: Any) -> Schema:
    """An object of an answer: all fields are there, but for the `optional` ones. More may be added in later versions."""
    left_out = set(optional)
    return {"type": "object", "properties": properties, "required": [n for n in properties if n not in left_out], **more}


def taken(properties: Mapping[str, Any], required: Sequence[str] = (), **more: Any) -> Schema:
    """An object of a request: unknown fields are refused by name."""
    rule = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties, **rule, "additionalProperties": False, **more}


def listed(items: Any, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def one_of(values: Iterable[str], **more: Any) -> Schema:
    return {"type": "string", "enum": [str(value) for value in values], **more}


def nullable(schema: Any) -> Schema:
    if isinstance(schema, Mapping) and isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def line(length_max: int, **more: Any) -> Schema:
    """Text on one line, as `shared.checks.line` wants it."""
    return {"type": "string", "minLength": 1, "maxLength": length_max, "pattern": LINE, **more}


def text(description: str = "", **more: Any) -> Schema:
    return {"type": "string", **({"description": description} if description else {}), **more}


def whole(low: int | None = None, high: int | None = None, **more: Any) -> Schema:
    bounds = {"minimum": low, "maximum": high}
    return {"type": "integer", **{name: bound for name, bound in bounds.items() if bound is not None}, **more}


def of_model(model: type[BaseModel]) -> Component:
    """A pydantic model as it takes a request: what isn't given is null, which needn't be said."""
    made = model.model_json_schema(ref_template="{model}")
    kept = {name: Component(name, _plain(definition, {})) for name, definition in made.pop("$defs", {}).items()}
    return Component(model.__name__, _plain(made, kept))


def _plain(schema: Any, kept: Mapping[str, Component]) -> Any:
    """Without the titles and defaults that pydantic makes up."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return kept[schema["$ref"]]
        made_up = {"title"} | ({"default"} if schema.get("default", 0) is None else set())
        return {k: _plain_properties(v, kept) if k == "properties" else _plain(v, kept) for k, v in schema.items() if k not in made_up}
    return [_plain(each, kept) for each in schema] if isinstance(schema, list) else schema


def _plain_properties(properties: Mapping[str, Any], kept: Mapping[str, Component]) -> dict[str, Any]:
    return {name: _plain(schema, kept) for name, schema in properties.items()}


BOOLEAN: Schema = {"type": "boolean"}
COUNT: Schema = whole(0)
INSTANT: Schema = {"type": "string", "format": "date-time"}
WHEN: Schema = {
    "type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}],
    "description": "A date (its local midnight), or a time, which is local where it has no offset.", "examples": ["2026-03-01"],
}  # fmt: skip
TIMEZONE: Schema = {"type": "string", "format": "iana-timezone", "description": "An IANA name.", "examples": ["Europe/Brussels"]}
SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}

CURSOR_PATTERN = "^[A-Za-z0-9_-]+$"


# ---- parameters


def query(name: str, schema: Schema, description: str, *, many: bool = False) -> dict[str, Any]:
    """A query parameter; `many`: it may be given several times."""
    shape = {"schema": listed(schema), "style": "form", "explode": True} if many else {"schema": schema}
    return {"name": name, "in": "query", "description": description, **shape}


def header(name: str, schema: Schema, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": schema}


def path(name: str, description: str, example: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": text(), "example": example}


LIMIT_PARAMETER = Component("limit", query("limit", whole(1, LIMIT_MAX, default=LIMIT), "Entries of a page at most."), "parameters")
CURSOR_PARAMETER = Component(
    "cursor",
    query(
        "cursor",
        text(maxLength=CURSOR_MAX, pattern=CURSOR_PATTERN),
        "`next_cursor` of the page before; good only for the same list with the same filters.",
    ),
    "parameters",
)
PAGING = (LIMIT_PARAMETER, CURSOR_PARAMETER)


def page(items: Any) -> Schema:
    """The answer of a list that is read by pages."""
    cursor = nullable(text("Where the next page begins; null on the last one."))
    return shown({"data": listed(items), "next_cursor": cursor, "has_more": BOOLEAN})


# ---- answers

Headers = Mapping[str, Any]
LOCATION: dict[str, Any] = {"Location": {"description": "Where it is.", "schema": text()}}
RETRY_AFTER: dict[str, Any] = {"Retry-After": {"description": "Seconds after which it is worth coming back.", "schema": whole(0)}}


EXPORT_EXAMPLE_ID = "exp_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A"  # pragma: allowlist secret
EXPORT_ID = path("export_id", "The export's id.", EXPORT_EXAMPLE_ID)


def etag(description: str) -> dict[str, Any]:
    return {"ETag": {"description": description, "schema": text()}}


def if_match(whose: str) -> dict[str, Any]:
    return header("If-Match", text(pattern=r'^(\*|"[!#-~]*")$'), f"The {whose} ETag as you know it: 412 where it is another one now.")


def link(operation_id: str, description: str, **parameters: str) -> dict[str, Any]:
    """What to do next with an answer: parameter → where in this answer it is (`$response.body#/id`)."""
    return {"operationId": operation_id, "parameters": parameters, "description": description}


def following(operation_id: str, **parameters: str) -> dict[str, Any]:
    """The links of a page: to the next one."""
    return {"NextPage": link(operation_id, "The next page, where there is one.", cursor="$response.body#/next_cursor", **parameters)}


def answer(
    description: str, schema: Any = None, *, media: str = "application/json", headers: Headers | None = None,
    links: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """An answer; without a schema it has no body."""
    said: dict[str, Any] = {"description": description}
    if headers:
        said["headers"] = dict(headers)
    if schema is not None:
        said["content"] = {media: {"schema": schema}}
    if links:
        said["links"] = dict(links)
    return said


DETAIL = Component("ErrorDetail", shown({"field": text("A dotted path; empty for the whole body."), "message": text()}))
ERROR = Component(
    "Error",
    shown(
        {
            "error": {
                **shown(
                    {
                        "code": text("The machine's word for it; docs/errors.md lists them."), "message": text("For people."),
                        "details": listed(DETAIL, description="Each wrong field, all at once."),
                        "doc_url": text("Where the code is explained.", format="uri"),
                    },
                    optional=("details",),
                ),
                "description": "Some errors say more here: `export_id` or `existingLeadId` of a conflict.",
            }
        }
    ),
)  # fmt: skip

_ERRORS: dict[int, tuple[str, str, ApiError]] = {
    400: ("InvalidRequest", "A field, parameter or header is wrong by itself; each is named.", invalid_request(Detail("limit", "must be a whole number"))),
    401: ("Unauthorized", "The API key is missing, wrong, revoked or expired; nothing more is told.", unauthorized()),
    403: ("Forbidden", "The API key lacks the scope that the message names.", forbidden("exports:write")),
    404: ("NotFound", "There is no such thing in this organisation.", not_found("The export")),
    409: ("Conflict", "The state is in the way, as the message says.", conflict("The idempotency key was used with another body.", export_id="exp_01")),
    410: ("Gone", "It was there, and is no more.", gone("The file has expired.")),
    412: ("PreconditionFailed", "It is another version than the one asked for.", ApiError(412, "precondition_failed", "It has changed since.")),
    413: ("TooLarge", "The body is larger than the limit that the message names.", too_large("The body is larger than 1048576 bytes.")),
    415: ("UnsupportedMediaType", "The body's content type or encoding is not taken here.", ApiError(415, "unsupported_media_type", "The body must be application/json.")),
    416: ("RangeNotSatisfiable", "The range begins after the end of the file.", ApiError(416, "range_not_satisfiable", "The file has 7 bytes.")),
    422: ("Unprocessable", "Each field is right, not together.", unprocessable(Detail("to", "must be after from"))),
    429: ("RateLimited", "Too many at once.", ApiError(429, "rate_limited", "At most 4 tests run at once.", headers={"Retry-After": "1"})),
    503: ("Unavailable", "A dependency is down; the message says which.", unavailable("PostgreSQL")),
}  # fmt: skip


def error_answer(status: int) -> Component:
    """The answer for one of the contract's errors."""
    name, description, example = _ERRORS[status]
    headers = {name: {"description": "As RFC 9110 says.", "schema": text()} for name in example.headers if name != "Retry-After"}
    headers |= RETRY_AFTER if "Retry-After" in example.headers else {}
    content = {"application/json": {"schema": ERROR, "example": example.body()}}
    return Component(name, {"description": description, **({"headers": headers} if headers else {}), "content": content}, "responses")


def body(
    schema: Any, example: Any = None, *, media: str = "application/json", required: bool = True, description: str = ""
) -> dict[str, Any]:
    """A request's body, with an example of it."""
    content = {"schema": schema} | ({} if example is None else {"example": example})
    return {"required": required, "content": {media: content}, **({"description": description} if description else {})}


NOTHING = body(Component("Nothing", taken({})), required=False)


def operation(
    summary: str, tag: str, answers: Mapping[int, Any], *, description: str = "", parameters: Sequence[Any] = (), body: Any = None,
    errors: Iterable[int] = (), public: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """What the route's decorator is told: `@routes.post("/v1/exports", **operation(…))`.

    `errors` need not name what follows from the rest: 400 and 503 always, 401 and 403 for what guards the route, 404 for ids in the path, 413 and 415 for a body.
    `public`: nothing guards the route, and nothing has to.
    """
    implied = {400, 503} | ({413, 415} if body is not None else set())
    responses = {str(status): said for status, said in answers.items()}
    responses |= {str(status): error_answer(status) for status in sorted(implied | set(errors)) if str(status) not in responses}
    said: dict[str, Any] = {"summary": summary, "tags": [tag], "responses": responses}
    if public:
        said["security"] = []
    if description:
        said["description"] = description
    if parameters:
        said["parameters"] = list(parameters)
    if body is not None:
        said["requestBody"] = body
    return {"openapi_extra": said}
