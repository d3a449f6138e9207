"""What a request asks for: the body of POST /v1/exports, the same over Kafka, checked field by field and resolved to a plan spec.

All wrong fields are named at once: 400 for what is wrong by itself, 422 for fields that are right but not together.
"""

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from services.export_request.core import delta
from services.export_request.core.delta import Base
from services.export_request.core.destinations import Named
from services.export_request.core.request.options import Options
from services.export_request.core.request.reading import Organisation
from shared.datasets import registry as datasets
from shared.datasets.base import Dataset
from shared.datasets.plan import PlanSpec, Since
from shared.errors import Detail, invalid_request, unprocessable
from shared.formats import registry as formats

KNOWN = (
    "dataset", "format", "formats", "from", "to", "filter", "columns", "timezone", "compression", "spreadsheet_safe", "max_rows_per_file",
    "expires_in_seconds", "labels", "purpose", "granularity", "password", "redaction", "since", "destinations",
)  # fmt: skip
RANGE_DAYS_MAX = 1_100
COLUMNS_MAX = 1_000
AS_BEFORE = "is that of the export that 'since' names: leave it out"


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


def resolve(body: Any, organisation: Organisation, base: Base | None = None, preview: bool = False) -> Resolved:
    """Raises ApiError 400 that names every field that is wrong by itself, else 422 that names those that don't fit together.

    `base`: what `since` names. What isn't given is as it was there. A preview needs no password: there is no file to encrypt.
    """
    if not isinstance(body, dict):
        raise invalid_request(Detail("", "the body must be a JSON object"))
    return _Resolver(body, organisation, base, preview).resolve()


class _Resolver(Options):
    """Walks the body once."""

    def resolve(self) -> Resolved:
        self._names()
        dataset = self._dataset()
        if dataset is not None and self.base is not None and (wrong := delta.check_dataset(dataset, self.base)):
            raise unprocessable(*wrong)
        asked = self._formats(dataset)
        timezone = self._timezone()
        start, end = self._range(dataset, timezone)
        columns = self._columns(dataset, asked)
        chosen = self._filter(dataset, timezone)
        compression = self.compression(asked)
        safe = self.spreadsheet_safe(asked)
        rows = self.rows_max_per_file(dataset, asked)
        retention = self.organisation.retention_days * 86_400
        expires_in = self.whole("expires_in_seconds", 1, retention, f" (your organisation keeps files for {retention} seconds)")
        labels, purpose, granularity = self.labels(), self.purpose(dataset), self.granularity(dataset)
        password = self.password(dataset)
        hidden, where = self.redaction(), self.destinations()
        self.require_right()
        assert dataset is not None  # else that is wrong
        if self.base is not None:
            since = Since(export_id=self.base.export_id, snapshot=self.base.snapshot)
            spec = self.base.spec.model_copy(
                update={
                    "formats": asked, "columns": columns, "timezone": timezone, "spreadsheet_safe": safe, "compression": compression,
                    "max_rows_per_file": rows, "since": since,
                }
            )  # fmt: skip
        else:
            spec = PlanSpec(
                dataset=dataset.name, formats=asked, columns=columns, custom_properties=list(self.organisation.custom_properties),
                timezone=timezone, from_=start, to=end, filter=chosen, spreadsheet_safe=safe, compression=compression, max_rows_per_file=rows,
                organisation_name=self.organisation.name, granularity=granularity,
                redaction=hidden, branding=self.organisation.branding if any(formats.get(name).document for name in asked) else None,
                **{name: getattr(self.organisation, name) for name in sorted(dataset.reads_settings)},
            )  # fmt: skip
        return Resolved(spec, labels, timedelta(seconds=expires_in or retention), purpose, password, tuple(self.lacks), where)

    def _names(self) -> None:
        for name in self.body:
            if name == "since" and self.base is None:
                self.refuse(name, "is not taken here")
            elif name not in KNOWN:
                self.refuse(name[:80], "unknown field")

    def _dataset(self) -> Dataset | None:
        name = self.body.get("dataset")
        if name is None:
            self.refuse("dataset", "is required")
        elif not isinstance(name, str):
            self.refuse("dataset", "must be text")
        elif name not in datasets.names():
            self.refuse("dataset", f"'{name[:80]}' is not a dataset; there are {', '.join(datasets.names())}")
        else:
            return datasets.get(name)
        return None

    def _formats(self, dataset: Dataset | None) -> list[str]:
        if "format" in self.body and "formats" in self.body:
            self.refuse("formats", "give either format or formats")
            return []
        if "formats" in self.body:
            asked = self.body["formats"]
            if not isinstance(asked, list) or not asked:
                self.refuse("formats", "must be a list with at least one format")
                return []
            named = [(f"formats.{i}", each) for i, each in enumerate(asked[:100])]
        elif "format" in self.body:
            named = [("format", self.body["format"])]
        else:
            return list(self.then.formats) if self.then else [dataset.default_format] if dataset else []
        found: list[str] = []
        for field, each in named:
            self._format(field, each, found, dataset)
        return found

    def _format(self, field: str, name: Any, found: list[str], dataset: Dataset | None) -> None:
        if not isinstance(name, str):
            self.refuse(field, "must be text")
        elif name in found:
            self.refuse(field, f"'{name}' is asked for twice")
        elif name not in formats.names():
            self.refuse(field, f"'{name[:80]}' is not a format; there are {', '.join(formats.names())}")
        elif dataset is not None and name not in dataset.formats:
            self.together.append(Detail(field, f"'{dataset.name}' has no {name}; it has {', '.join(dataset.formats)}"))
        else:
            found.append(name)

    def _timezone(self) -> str:
        name = self.body.get("timezone")
        if name is None and "timezone" not in self.body:
            return self.then.timezone if self.then else self.organisation.timezone
        if not isinstance(name, str):
            self.refuse("timezone", "must be text")
        elif name not in _timezones():
            self.refuse("timezone", f"'{name[:80]}' is not a known timezone (an IANA name, such as Europe/Brussels)")
        else:
            return name
        return self.organisation.timezone

    def _range(self, dataset: Dataset | None, timezone: str) -> tuple[datetime | None, datetime | None]:
        start, end = self.instant("from", timezone), self.instant("to", timezone)
        given = [name for name in ("from", "to") if name in self.body]
        if self.then is not None:
            ends = {"from": (start, self.then.from_), "to": (end, self.then.to)}
            self.together += [Detail(name, AS_BEFORE) for name in given if ends[name][0] != ends[name][1]]
            return self.then.from_, self.then.to
        if dataset is not None and dataset.range_rule == "refused":
            self.together += [Detail(name, f"'{dataset.name}' has no range: it shows one instant") for name in given]
        elif dataset is not None and dataset.range_rule == "required":
            self.together += [Detail(name, f"'{dataset.name}' needs a range") for name in ("from", "to") if name not in given]
        if start and end and end <= start:
            self.together.append(Detail("to", "must be after from"))
        elif start and end and end - start > timedelta(days=RANGE_DAYS_MAX, hours=2):  # a change of the clock may lengthen it
            self.together.append(Detail("to", f"the range may have {RANGE_DAYS_MAX} days at most"))
        return start, end

    def _columns(self, dataset: Dataset | None, asked: list[str]) -> dict[str, list[str]]:
        columns = self.body.get("columns")
        if "columns" in self.body and not isinstance(columns, list):
            self.refuse("columns", "must be a list of column keys")
            return {}
        if isinstance(columns, list) and len(columns) > COLUMNS_MAX:
            self.refuse("columns", f"may name {COLUMNS_MAX} columns at most")
            return {}
        if dataset is None:
            return {}
        if self.base is None:
            return self.gathered(lambda: dataset.resolve_columns(columns, asked, self.organisation.custom_properties)) or {}
        custom, theirs = self.base.spec.custom_properties, delta.columns_asked(dataset, self.base)
        found = self.gathered(lambda: dataset.resolve_columns(theirs, asked, custom)) or {}
        if isinstance(columns, list) and (self.gathered(lambda: dataset.resolve_columns(columns, asked, custom)) or found) != found:
            self.together.append(Detail("columns", AS_BEFORE))
        return found

    def _filter(self, dataset: Dataset | None, timezone: str) -> dict[str, Any]:
        if dataset is None:
            return {}
        if self.then is not None and "filter" not in self.body:
            return self.then.filter
        found = self.gathered(lambda: dataset.validate_filter(self.body.get("filter", {}), timezone)) or {}
        if self.then is not None and not delta.same(found, self.then.filter):
            self.together.append(Detail("filter", AS_BEFORE))
        return found


@cache
def _timezones() -> frozenset[str]:
    """IANA names; the files that merely lie beside them are none."""
    return frozenset(available_timezones() - {"localtime", "posixrules", "Factory"})
