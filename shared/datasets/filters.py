"""What filters are made of: pydantic types whose errors name the field, as the request spelled it."""

from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StrictStr,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from shared.datasets.instants import resolve_instant
from shared.errors import Detail, invalid_request

IDS_MAX = 10_000
SEARCH_MAX = 200  # characters of a search, as many as searches of leads take


def _clean(value: str) -> str:
    if "\x00" in value:
        raise ValueError("must not hold U+0000")
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise ValueError("must be valid Unicode")
    return value


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _instant(value: str, info: ValidationInfo) -> str:
    timezone = (info.context or {}).get("timezone", "UTC")
    return resolve_instant(value, timezone).isoformat(timespec="microseconds")


def _search(value: str) -> str:
    if not value.strip() or len(value) > SEARCH_MAX:
        raise ValueError(f"must have 1 to {SEARCH_MAX} characters, not all of them blanks")
    return value


def choice(*allowed: str) -> Callable[[str], str]:
    """A check that a text is one of `allowed`."""

    def check(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return value

    return check


def one_of(*allowed: str) -> Any:
    """A text that is one of `allowed`."""
    return Annotated[Text, AfterValidator(choice(*allowed)), WithJsonSchema({"type": "string", "enum": list(allowed)})]


class _OneOrMany:
    """In a JSON schema: a single value stands for a list of one."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


def list_of(item: Any) -> Any:
    """A list of `item`, at least one; a single value stands for a list of one."""
    return Annotated[list[item], Field(min_length=1, max_length=IDS_MAX), BeforeValidator(_as_list), _OneOrMany()]


Text = Annotated[StrictStr, AfterValidator(_clean)]
Search = Annotated[Text, AfterValidator(_search), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": SEARCH_MAX})]
Texts = Annotated[list[Text], Field(min_length=1, max_length=IDS_MAX), BeforeValidator(_as_list), _OneOrMany()]
Instant = Annotated[
    Text, AfterValidator(_instant), WithJsonSchema({"type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}]})
]


class TagFilter(BaseModel):
    """`{"any": [...]}` or `{"all": [...]}`; a bare list (or a single text) is any."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    any: Texts | None = None
    all: Texts | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        return {"any": value} if isinstance(value, list | str) else value

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.any is None) == (self.all is None):
            raise ValueError("must hold either any or all")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        texts = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": IDS_MAX}
        given = {"anyOf": [{"type": "string"}, texts]}
        either = [
            {"type": "object", "properties": {name: given}, "required": [name], "additionalProperties": False} for name in ("any", "all")
        ]
        return {"anyOf": [*given["anyOf"], *either], "description": cls.__doc__}


class Filter(BaseModel):
    """Base of a dataset's filters. A filter that isn't given is None; all that are given hold together."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def validate(model: type[Filter], data: Any, timezone: str) -> dict[str, Any]:
    """`data` as the plan keeps it: lists for single values, instants for dates. Raises ApiError 400 naming every wrong field."""
    if not isinstance(data, dict):
        raise invalid_request(Detail("filter", "must be an object"))
    try:
        checked = model.model_validate(data, context={"timezone": timezone})
    except ValidationError as error:
        allowed = ", ".join(model.model_fields) or "none"
        raise invalid_request(*_details(error, data, allowed)) from None
    return checked.model_dump(exclude_none=True)


def _details(error: ValidationError, data: dict[str, Any], allowed: str) -> list[Detail]:
    return [Detail(_path(e["loc"], data), _message(e, allowed)) for e in error.errors(include_url=False, include_input=False)]


def _path(location: tuple[int | str, ...], data: Any) -> str:
    """The path as the request has it: a place in a list that was given as a single value isn't one."""
    path = ["filter"]
    for step in location:
        here = step in data if isinstance(data, dict) else isinstance(data, list) and isinstance(step, int) and step < len(data)
        if not here:
            continue
        data = data[step]
        path.append(str(step)[:80])
    return ".".join(path)


def _message(error: Any, allowed: str) -> str:
    known = {
        "extra_forbidden": f"is not a filter of this dataset; there are: {allowed}",
        "string_type": "must be a text",
        "too_short": "must hold at least one value",
        "too_long": f"must hold at most {IDS_MAX} values",
        "model_type": "must be a list, or an object with any or all",
        "int_type": "must be a whole number",
        "int_parsing": "must be a whole number",
        "greater_than_equal": "must not be below 0",
        "less_than_equal": "must not be above 100",
        "none_required": "must not be null",
    }
    message = known.get(error["type"])
    return message or str(error["msg"]).removeprefix("Value error, ")
