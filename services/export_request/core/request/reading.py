"""Reading a request field by field: all that is wrong is gathered, and named at once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.export_request.core.delta import Base
from services.export_request.core.redaction import Profile
from shared.datasets.instants import resolve_instant
from shared.datasets.plan import Branding, CustomProperty
from shared.errors import ApiError, Detail, invalid_request, unprocessable


@dataclass(frozen=True)
class Organisation:
    """What an export takes from its organisation's settings; nothing reads them afterwards."""

    org_id: str
    name: str
    timezone: str
    custom_properties: tuple[CustomProperty, ...] = ()
    retention_days: int = 30
    require_purpose: bool = False
    qualification_threshold: int = 70
    require_password: bool = False
    operating_hours: dict[str, Any] | None = None
    redaction_profiles: tuple[Profile, ...] = ()
    branding: Branding | None = None  # read where a report is asked for


class Reading:
    """A body, whose it is, and what is found: `wrong` by itself, or not right `together`. `base`: what `since` names; what isn't given is as it was `then`."""

    def __init__(self, body: dict[str, Any], organisation: Organisation, base: Base | None, preview: bool) -> None:
        self.body, self.organisation, self.base, self.preview = body, organisation, base, preview
        self.then = base.spec if base is not None else None
        self.wrong: list[Detail] = []
        self.together: list[Detail] = []
        self.lacks: list[Detail] = []  # of a preview: what an export would be refused without

    def require_right(self) -> None:
        """Raises ApiError: 400 for what is wrong, else 422 for what isn't right together."""
        if self.wrong:
            raise invalid_request(*self.wrong)
        if self.together:
            raise unprocessable(*self.together)

    def refuse(self, field: str, message: str) -> None:
        self.wrong.append(Detail(field, message))

    def instant(self, field: str, timezone: str) -> datetime | None:
        if field not in self.body:
            return None
        value = self.body[field]
        if not isinstance(value, str):
            self.refuse(field, "must be text: a date or a time")
            return None
        try:
            return resolve_instant(value, timezone)
        except ValueError as error:
            self.refuse(field, str(error))
            return None

    def choice(self, field: str, choices: tuple[str, ...], default: str) -> Any:
        value = self.body.get(field, default)
        if value not in choices or not isinstance(value, str):
            self.refuse(field, f"must be one of {', '.join(choices)}")
            return default
        return value

    def whole(self, field: str, low: int, high: int, why: str = "") -> int | None:
        if field not in self.body:
            return None
        value = self.body[field]
        if not isinstance(value, int) or isinstance(value, bool):
            self.refuse(field, "must be a whole number")
        elif not low <= value <= high:
            self.refuse(field, f"must be between {low} and {high}{why}")
        else:
            return value
        return None

    def gathered(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        """The result of `work`, or its complaints among ours."""
        try:
            return work()
        except ApiError as error:
            (self.wrong if error.status == 400 else self.together).extend(error.details)
            return None
