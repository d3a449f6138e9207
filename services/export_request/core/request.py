"""What a request asks for: the body of POST /v1/exports, the same over Kafka, checked field by field and resolved to a plan spec.

All wrong fields are named at once: 400 for what is wrong by itself, 422 for fields that are right but not together.
"""

import dataclasses
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import available_timezones

import rfc8785

from services.export_request.core import delta, destinations, redaction
from services.export_request.core.delta import Base
from services.export_request.core.destinations import Named
from services.export_request.core.redaction import Profile
from shared.audit import PURPOSE_MAX
from shared.checks import is_seen, line
from shared.datasets import registry as datasets
from shared.datasets.base import Dataset
from shared.datasets.instants import resolve_instant
from shared.datasets.plan import Branding, CustomProperty, PlanSpec, Redaction, Since
from shared.errors import ApiError, Detail, invalid_request, unprocessable
from shared.formats import registry as formats

ENVELOPE = frozenset({"org_id", "request_id", "requested_by"})  # what a Kafka message has besides the body
KNOWN = (
    "dataset", "format", "formats", "from", "to", "filter", "columns", "timezone", "compression", "spreadsheet_safe", "max_rows_per_file",
    "expires_in_seconds", "labels", "purpose", "granularity", "password", "redaction", "since", "destinations",
)  # fmt: skip
GRANULARITIES = ("day", "week", "month")
COMPRESSIONS = ("none", "gzip", "zstd")
RANGE_DAYS_MAX = 1_100
LABELS_MAX, LABEL_NAME_MAX, LABEL_VALUE_MAX = 20, 63, 255
COLUMNS_MAX = 1_000
KEY_MAX = 255
DETAILS_MAX = 200
AS_BEFORE = "is that of the export that 'since' names: leave it out"
PASSWORD = re.compile(r"[A-Za-z0-9]{8,64}")  # 7-Zip takes 99 characters at most
WHOLE_MAX = 2**53 - 1


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


@dataclass(frozen=True)
class Resolved:
    """A request that can be accepted."""

    spec: PlanSpec
    labels: dict[str, str]
    expires_in: timedelta
    purpose: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)
    lacks: tuple[Detail, ...] = ()  # of a preview: what an export would be refused without
    destinations: tuple[Named, ...] = dataclasses.field(default=(), repr=False)  # as asked; addresses are personal


def body_sha256(body: Any, secret: bytes) -> bytes:
    """The identity of a body: SHA-256 of its RFC 8785 form without the envelope. Raises ApiError 400 where it has none.

    A password is in it under `secret`: nobody who reads the digest can try passwords on it.
    """
    if isinstance(body, dict):
        body = {k: v for k, v in body.items() if k not in ENVELOPE}
        if isinstance(password := body.get("password"), str):
            body["password"] = hmac.digest(secret, b"waybill body 1\0" + password.encode(errors="surrogatepass"), "sha256").hex()
    try:
        return hashlib.sha256(rfc8785.dumps(body)).digest()
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise invalid_request(Detail("", "a number in the body is out of range")) from error


def check_key(key: str, field: str) -> None:
    """Raises ApiError 400 for an idempotency key that can't be one."""
    if not 1 <= len(key) <= KEY_MAX or not key.isprintable():
        raise invalid_request(Detail(field, f"must have 1 to {KEY_MAX} printable characters"))


def asks_for_document(body: Any) -> bool:
    """Whether a body, right or wrong, names a format that shows the organisation's branding."""
    named = [body.get("format"), *_listed(body.get("formats"))] if isinstance(body, dict) else []
    return any(isinstance(name, str) and name in formats.names() and formats.get(name).document for name in named)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def since_of(body: Any) -> str | None:
    """The id of the export that a delta is asked for since; null for a whole export. Raises ApiError 400 where it is no text."""
    if not isinstance(body, dict) or "since" not in body:
        return None
    if not isinstance(body["since"], str):
        raise invalid_request(Detail("since", "must be text: the id of an export"))
    return body["since"]


def resolve(body: Any, organisation: Organisation, base: Base | None = None, preview: bool = False) -> Resolved:
    """Raises ApiError 400 that names every field that is wrong by itself, else 422 that names those that don't fit together.

    `base`: what `since` names. What isn't given is as it was there. A preview needs no password: there is no file to encrypt.
    """
    if not isinstance(body, dict):
        raise invalid_request(Detail("", "the body must be a JSON object"))
    return _Resolver(body, organisation, base, preview).resolve()


class _Resolver:
    """Walks the body once and gathers what is wrong."""

    def __init__(self, body: dict[str, Any], organisation: Organisation, base: Base | None, preview: bool) -> None:
        self._body, self._organisation, self._base, self._preview = body, organisation, base, preview
        self._then = base.spec if base is not None else None
        self._wrong: list[Detail] = []
        self._together: list[Detail] = []
        self._lacks: list[Detail] = []

    def resolve(self) -> Resolved:
        self._names()
        dataset = self._dataset()
        if dataset is not None and self._base is not None and (wrong := delta.check_dataset(dataset, self._base)):
            raise unprocessable(*wrong)
        asked = self._formats(dataset)
        timezone = self._timezone()
        start, end = self._range(dataset, timezone)
        columns = self._columns(dataset, asked)
        chosen = self._filter(dataset, timezone)
        compression = self._compression(asked)
        safe = self._spreadsheet_safe(asked)
        self._whole_document(asked)
        before = self._then.max_rows_per_file if self._then else None
        rows = _rows_max(self._whole("max_rows_per_file", 1, WHOLE_MAX) or before, dataset, asked, "password" in self._body)
        retention = self._organisation.retention_days * 86_400
        expires_in = self._whole("expires_in_seconds", 1, retention, f" (your organisation keeps files for {retention} seconds)")
        labels, purpose, granularity = self._labels(), self._purpose(dataset), self._granularity(dataset)
        password = self._password(dataset)
        hidden, where = self._redaction(), self._destinations()
        if self._wrong:
            raise invalid_request(*_bounded(self._wrong))
        if self._together or dataset is None:
            raise unprocessable(*_bounded(self._together))
        if self._base is not None:
            since = Since(export_id=self._base.export_id, snapshot=self._base.snapshot)
            spec = self._base.spec.model_copy(
                update={
                    "formats": asked, "columns": columns, "timezone": timezone, "spreadsheet_safe": safe, "compression": compression,
                    "max_rows_per_file": rows, "since": since,
                }
            )  # fmt: skip
            return Resolved(spec, labels, timedelta(seconds=expires_in or retention), purpose, password, destinations=where)
        spec = PlanSpec(
            dataset=dataset.name, formats=asked, columns=columns, custom_properties=list(self._organisation.custom_properties),
            timezone=timezone, from_=start, to=end, filter=chosen, spreadsheet_safe=safe, compression=compression, max_rows_per_file=rows,
            organisation_name=self._organisation.name, granularity=granularity,
            redaction=hidden, branding=self._organisation.branding if any(formats.get(name).document for name in asked) else None,
            **{name: getattr(self._organisation, name) for name in sorted(dataset.reads_settings)},
        )  # fmt: skip
        return Resolved(spec, labels, timedelta(seconds=expires_in or retention), purpose, password, tuple(self._lacks), where)

    def _refuse(self, field: str, message: str) -> None:
        self._wrong.append(Detail(field, message))

    def _names(self) -> None:
        for name in self._body:
            if name == "since" and self._base is None:
                self._refuse(name, "is not taken here")
            elif name not in KNOWN:
                self._refuse(name[:80], "unknown field")

    def _dataset(self) -> Dataset | None:
        name = self._body.get("dataset")
        if name is None:
            self._refuse("dataset", "is required")
        elif not isinstance(name, str):
            self._refuse("dataset", "must be text")
        elif name not in datasets.names():
            self._refuse("dataset", f"'{name[:80]}' is not a dataset; there are {', '.join(datasets.names())}")
        else:
            return datasets.get(name)
        return None

    def _formats(self, dataset: Dataset | None) -> list[str]:
        if "format" in self._body and "formats" in self._body:
            self._refuse("formats", "give either format or formats")
            return []
        if "formats" in self._body:
            asked = self._body["formats"]
            if not isinstance(asked, list) or not asked:
                self._refuse("formats", "must be a list with at least one format")
                return []
            named = [(f"formats.{i}", each) for i, each in enumerate(asked[:100])]
        elif "format" in self._body:
            named = [("format", self._body["format"])]
        else:
            return list(self._then.formats) if self._then else [dataset.default_format] if dataset else []
        found: list[str] = []
        for field, each in named:
            self._format(field, each, found, dataset)
        return found

    def _format(self, field: str, name: Any, found: list[str], dataset: Dataset | None) -> None:
        if not isinstance(name, str):
            self._refuse(field, "must be text")
        elif name in found:
            self._refuse(field, f"'{name}' is asked for twice")
        elif name not in formats.names():
            self._refuse(field, f"'{name[:80]}' is not a format; there are {', '.join(formats.names())}")
        elif dataset is not None and name not in dataset.formats:
            self._together.append(Detail(field, f"'{dataset.name}' has no {name}; it has {', '.join(dataset.formats)}"))
        else:
            found.append(name)

    def _timezone(self) -> str:
        name = self._body.get("timezone")
        if name is None and "timezone" not in self._body:
            return self._then.timezone if self._then else self._organisation.timezone
        if not isinstance(name, str):
            self._refuse("timezone", "must be text")
        elif name not in _timezones():
            self._refuse("timezone", f"'{name[:80]}' is not a known timezone (an IANA name, such as Europe/Brussels)")
        else:
            return name
        return self._organisation.timezone

    def _range(self, dataset: Dataset | None, timezone: str) -> tuple[datetime | None, datetime | None]:
        start, end = self._instant("from", timezone), self._instant("to", timezone)
        given = [name for name in ("from", "to") if name in self._body]
        if self._then is not None:
            ends = {"from": (start, self._then.from_), "to": (end, self._then.to)}
            self._together += [Detail(name, AS_BEFORE) for name in given if ends[name][0] != ends[name][1]]
            return self._then.from_, self._then.to
        if dataset is not None and dataset.range_rule == "refused":
            self._together += [Detail(name, f"'{dataset.name}' has no range: it shows one instant") for name in given]
        elif dataset is not None and dataset.range_rule == "required":
            self._together += [Detail(name, f"'{dataset.name}' needs a range") for name in ("from", "to") if name not in given]
        if start and end and end <= start:
            self._together.append(Detail("to", "must be after from"))
        elif start and end and end - start > timedelta(days=RANGE_DAYS_MAX, hours=2):  # a change of the clock may lengthen it
            self._together.append(Detail("to", f"the range may have {RANGE_DAYS_MAX} days at most"))
        return start, end

    def _instant(self, field: str, timezone: str) -> datetime | None:
        if field not in self._body:
            return None
        value = self._body[field]
        if not isinstance(value, str):
            self._refuse(field, "must be text: a date or a time")
            return None
        try:
            return resolve_instant(value, timezone)
        except ValueError as error:
            self._refuse(field, str(error))
            return None

    def _columns(self, dataset: Dataset | None, asked: list[str]) -> dict[str, list[str]]:
        columns = self._body.get("columns")
        if "columns" in self._body and not isinstance(columns, list):
            self._refuse("columns", "must be a list of column keys")
            return {}
        if isinstance(columns, list) and len(columns) > COLUMNS_MAX:
            self._refuse("columns", f"may name {COLUMNS_MAX} columns at most")
            return {}
        if dataset is None:
            return {}
        if self._base is None:
            return self._gathered(lambda: dataset.resolve_columns(columns, asked, self._organisation.custom_properties)) or {}
        custom, theirs = self._base.spec.custom_properties, delta.columns_asked(dataset, self._base)
        found = self._gathered(lambda: dataset.resolve_columns(theirs, asked, custom)) or {}
        if isinstance(columns, list) and (self._gathered(lambda: dataset.resolve_columns(columns, asked, custom)) or found) != found:
            self._together.append(Detail("columns", AS_BEFORE))
        return found

    def _filter(self, dataset: Dataset | None, timezone: str) -> dict[str, Any]:
        if dataset is None:
            return {}
        if self._then is not None and "filter" not in self._body:
            return self._then.filter
        found = self._gathered(lambda: dataset.validate_filter(self._body.get("filter", {}), timezone)) or {}
        if self._then is not None and not delta.same(found, self._then.filter):
            self._together.append(Detail("filter", AS_BEFORE))
        return found

    def _gathered(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        """The result of `work`, or its complaints among ours."""
        try:
            return work()
        except ApiError as error:
            (self._wrong if error.status == 400 else self._together).extend(error.details)
            return None

    def _spreadsheet_safe(self, asked: list[str]) -> bool:
        value: Any = self._body.get("spreadsheet_safe", self._then.spreadsheet_safe if self._then else True)
        if not isinstance(value, bool):
            self._refuse("spreadsheet_safe", "must be true or false")
            return True
        if value and "spreadsheet_safe" in self._body and asked and "csv" not in asked:
            self._together.append(Detail("spreadsheet_safe", "guards csv files only"))
        return bool(value)

    def _compression(self, asked: list[str]) -> Any:
        value = self._choice("compression", COMPRESSIONS, self._then.compression if self._then else "none")
        if value != "none" and asked and all(formats.get(name).binary for name in asked):
            if "compression" not in self._body:
                return "none"
            self._together.append(Detail("compression", f"{' and '.join(asked)} files are compressed already"))
        return value

    def _whole_document(self, asked: list[str]) -> None:
        if "max_rows_per_file" in self._body and (documents := [name for name in asked if formats.get(name).document]):
            self._together.append(Detail("max_rows_per_file", f"a {documents[0]} is one file, whatever its length"))

    def _choice(self, field: str, choices: tuple[str, ...], default: str) -> Any:
        value = self._body.get(field, default)
        if value not in choices or not isinstance(value, str):
            self._refuse(field, f"must be one of {', '.join(choices)}")
            return default
        return value

    def _granularity(self, dataset: Dataset | None) -> Any:
        if dataset is None or dataset.granularities:
            known = dataset.granularities if dataset else GRANULARITIES
            return self._choice("granularity", known, known[0])
        if "granularity" in self._body:
            self._choice("granularity", GRANULARITIES, GRANULARITIES[0])
            self._together.append(Detail("granularity", f"'{dataset.name}' has no periods"))
        return None

    def _redaction(self) -> Redaction | None:
        asked, profiles = self._body.get("redaction"), self._organisation.redaction_profiles
        if "redaction" in self._body and not isinstance(asked, str):
            self._refuse("redaction", "must be text: the name of a redaction profile")
        elif asked is not None and self._base is None and asked not in (known := [each["name"] for each in profiles]):
            there = f"there are {', '.join(known)}" if known else "your organisation has none"
            self._refuse("redaction", f"'{asked[:80]}' is not a redaction profile; {there}")
        elif self._base is not None:
            self._together += delta.check_redaction(asked, "redaction" in self._body, profiles, self._base)
        else:
            return redaction.resolved(asked, profiles)
        return None

    def _whole(self, field: str, low: int, high: int, why: str = "") -> int | None:
        if field not in self._body:
            return None
        value = self._body[field]
        if not isinstance(value, int) or isinstance(value, bool):
            self._refuse(field, "must be a whole number")
        elif not low <= value <= high:
            self._refuse(field, f"must be between {low} and {high}{why}")
        else:
            return value
        return None

    def _password(self, dataset: Dataset | None) -> str | None:
        """Letters and digits only. It is in no message of ours, whatever is wrong with it."""
        required = self._organisation.require_password or (dataset is not None and dataset.protected)
        if "password" not in self._body:
            if required:
                why = f"'{dataset.name}'" if dataset is not None and dataset.protected else "your organisation"
                lacking = self._lacks if self._preview else self._together
                lacking.append(Detail("password", f"is required: {why} wants its files encrypted (over HTTP alone)"))
            return None
        password = self._body["password"]
        if not isinstance(password, str) or not PASSWORD.fullmatch(password):
            self._refuse("password", "must be text of 8 to 64 letters (A–Z, a–z) and digits")
            return None
        if dataset is not None and not required:
            self._together.append(
                Detail("password", f"'{dataset.name}' takes none: neither it nor your organisation's settings require one")
            )
        return password

    def _purpose(self, dataset: Dataset | None) -> str | None:
        if "purpose" in self._body:
            self._wrong += line("purpose", self._body["purpose"], PURPOSE_MAX)
        elif dataset is not None and dataset.protected:
            self._together.append(Detail("purpose", f"is required: '{dataset.name}' is exported for a reason, which the audit trail keeps"))
        elif self._organisation.require_purpose:
            self._together.append(Detail("purpose", "is required: your organisation wants to know why"))
        return self._body.get("purpose")

    def _destinations(self) -> tuple[Named, ...]:
        """As they are named; whether they are there is for who can look."""
        asked = self._body.get("destinations", [])
        self._wrong += (wrong := destinations.check(asked))
        return () if wrong else tuple(asked)

    def _labels(self) -> dict[str, str]:
        labels = self._body.get("labels", {})
        if not isinstance(labels, dict):
            self._refuse("labels", "must be an object of texts")
            return {}
        if len(labels) > LABELS_MAX:
            self._refuse("labels", f"may hold {LABELS_MAX} labels at most")
            return {}
        for name, value in labels.items():
            field = f"labels.{name[:80]}"
            if not 1 <= len(name) <= LABEL_NAME_MAX or not is_seen(name):
                self._refuse(field, f"a label's name must have 1 to {LABEL_NAME_MAX} printable characters")
            if not isinstance(value, str) or len(value) > LABEL_VALUE_MAX or not is_seen(value):
                self._refuse(field, f"must be text of at most {LABEL_VALUE_MAX} printable characters")
        return labels


def _rows_max(asked: int | None, dataset: Dataset | None, wanted: list[str], protected: bool) -> int | None:
    """How many rows a file may have: as asked, and as many as the dataset and every format take."""
    limits = [asked, dataset.rows_max_per_file if dataset else None, *(formats.get(name).rows_max_per_file for name in wanted)]
    if protected:
        limits += [formats.get(name).protected_rows_max for name in wanted]
    return min((limit for limit in limits if limit is not None), default=None)


def _bounded(details: list[Detail]) -> list[Detail]:
    """All of them, unless there are so many that the answer would not fit into a message."""
    rest = len(details) - DETAILS_MAX
    return details if rest <= 0 else [*details[:DETAILS_MAX], Detail("", f"{rest} more fields are wrong")]


@cache
def _timezones() -> frozenset[str]:
    """IANA names; the files that merely lie beside them are none."""
    return frozenset(available_timezones() - {"localtime", "posixrules", "Factory"})
