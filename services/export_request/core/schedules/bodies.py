"""What a schedule may be: the bodies of its HTTP API, field by field, and the request that a window of it stands for."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.export_request.core import destinations
from services.export_request.core.destinations import Named
from services.export_request.core.request.reading import Organisation
from services.export_request.core.request.resolving import Resolved, resolve
from services.export_request.core.tenancy import timezone as timezone_check
from services.export_request.core.windows import FREQUENCIES, Timing, Window, cron_problem, first_window
from shared.checks import line
from shared.clock import instant
from shared.datasets import registry as datasets
from shared.errors import ApiError, Detail, invalid_request, unprocessable

NAME_MAX = 200
SCHEDULES_MAX = 10_000  # of an organisation
CATCH_UP = ("all", "newest")
PREVIOUS = "previous"  # export.since: the export of the run before
FIELDS = ("name", "export", "frequency", "cron", "timezone", "sftp", "destinations", "catch_up")


@dataclass(frozen=True)
class Wanted:
    """A schedule as a body asks for it, checked. `export` has no password; `password` is that of its files."""

    name: str
    export: Mapping[str, Any]
    timing: Timing
    sftp: bool
    catch_up: str
    resolved: Resolved
    destinations: tuple[Named, ...] = dataclasses.field(default=(), repr=False)


def wanted(
    body: Mapping[str, Any], organisation: Organisation, now: datetime, before: Mapping[str, Any] | None = None, password: str | None = None
) -> Wanted:
    """A new schedule, or one that was `before` with the changes of `body`. Raises ApiError that names every field that is wrong; `password`: the one it has.

    The export is checked as a request of its first window, so what is accepted here can be accepted then.
    """
    wrong = [Detail(name[:80], "unknown field") for name in body if name not in FIELDS]
    wrong += [Detail(name, "must be text") for name in ("frequency", "cron") if name in body and body[name] is None]
    fields = {"timezone": organisation.timezone, "sftp": False, "catch_up": "all", "destinations": [], **(before or {}), **body}
    if "cron" in body and "frequency" not in body:
        fields.pop("frequency", None)
    if "frequency" in body and "cron" not in body:
        fields.pop("cron", None)
    wrong += [Detail(name, "is required") for name in ("name", "export") if name not in fields]
    wrong += _plain_fields(fields)
    timing, problems = _timing(fields, now)
    wrong += problems
    resolved, mistakes, misfits = (
        _export(fields.get("export"), timing, organisation, now, password) if "export" in fields else (None, [], [])
    )
    if wrong or mistakes:
        raise invalid_request(*wrong, *mistakes)
    if misfits or resolved is None:
        raise unprocessable(*misfits)
    export = {name: value for name, value in fields["export"].items() if name != "password"}
    return Wanted(fields["name"], export, timing, fields["sftp"], fields["catch_up"], resolved, tuple(fields["destinations"]))


def _plain_fields(fields: Mapping[str, Any]) -> list[Detail]:
    wrong = line("name", fields["name"], NAME_MAX) if "name" in fields else []
    if not isinstance(fields["sftp"], bool):
        wrong.append(Detail("sftp", "must be true or false"))
    if fields["catch_up"] not in CATCH_UP or not isinstance(fields["catch_up"], str):
        wrong.append(Detail("catch_up", f"must be one of {', '.join(CATCH_UP)}"))
    return wrong + destinations.check(fields["destinations"])


def _timing(fields: Mapping[str, Any], now: datetime) -> tuple[Timing, list[Detail]]:
    """As far as it can be told; where something is wrong, a timing that stands in for it."""
    frequency, cron, timezone = fields.get("frequency"), fields.get("cron"), fields["timezone"]
    wrong = timezone_check(timezone)
    zone = "UTC" if wrong else timezone
    if frequency is not None and cron is not None:
        wrong.append(Detail("cron", "give either frequency or cron"))
    elif cron is not None:
        problem = cron_problem(cron, zone, now) if isinstance(cron, str) else "must be text"
        if problem is None:
            return Timing(None, " ".join(cron.split()), zone), wrong
        wrong.append(Detail("cron", problem))
    elif frequency is None:
        wrong.append(Detail("frequency", f"is required: one of {', '.join(FREQUENCIES)}; or give a cron expression"))
    elif frequency in FREQUENCIES and isinstance(frequency, str):
        return Timing(frequency, None, zone), wrong
    else:
        wrong.append(Detail("frequency", f"must be one of {', '.join(FREQUENCIES)}"))
    return Timing("hourly", None, zone), wrong


def _export(
    export: Any, timing: Timing, organisation: Organisation, now: datetime, password: str | None
) -> tuple[Resolved | None, list[Detail], list[Detail]]:
    """The export resolved, what is wrong with it by itself, and what doesn't fit together; fields as `export.<field>`."""
    if not isinstance(export, dict):
        return None, [Detail("export", "must be an object: the body of POST /v1/exports without from and to")], []
    wrong = [Detail(f"export.{name}", "is not said here: each run has its own window") for name in ("from", "to") if name in export]
    if "destinations" in export:
        wrong.append(Detail("export.destinations", "is not said here: a schedule names its destinations beside the export"))
    unfit: list[Detail] = []
    if "since" in export:
        mistake, unfit = _since(export)
        wrong += mistake
    asked = {name: value for name, value in export.items() if name not in ("from", "to", "since", "destinations")}
    try:
        window = None if measured(export) else first_window(timing, now)
        resolved = resolve(request_of(asked, timing.timezone, window, organisation, password), organisation)
    except ApiError as error:
        found = [_renamed(detail) for detail in error.details if not (unfit and detail.field in ("from", "to"))]
        return None, wrong + (found if error.status == 400 else []), [*unfit, *(found if error.status != 400 else [])]
    return resolved, wrong, unfit


def measured(export: Mapping[str, Any]) -> bool:
    """Whether each run holds what changed since the one before. Then it has no range: windows say when it runs, and no more."""
    return export.get("since") == PREVIOUS


def _since(export: Mapping[str, Any]) -> tuple[list[Detail], list[Detail]]:
    """What is wrong with it by itself, and what doesn't fit the dataset."""
    if not measured(export):
        return [Detail("export.since", f"must be '{PREVIOUS}': each run is measured from the one before")], []
    name = export.get("dataset")
    dataset = datasets.get(name) if isinstance(name, str) and name in datasets.names() else None
    if dataset is None:
        return [], []
    if dataset.entity is None:
        return [], [Detail("export.since", f"'{name}' can't be measured from another export; these can: {', '.join(measurable())}")]
    if dataset.range_rule == "required":
        why = f"'{name}' is exported by a range, which would stay that of the first run; these can be measured from the run before: {', '.join(measurable())}"
        return [], [Detail("export.since", why)]
    return [], []


def measurable() -> list[str]:
    """Datasets whose schedules can ask for what changed since the run before: a row an entity, and no range that windows would be."""
    return [name for name in datasets.names() if datasets.get(name).entity is not None and datasets.get(name).range_rule != "required"]


def _renamed(detail: Detail) -> Detail:
    if detail.field in ("from", "to"):  # the windows' own
        return Detail("cron", f"its windows are too long: {detail.message}")
    return Detail(f"export.{detail.field}" if detail.field else "export", detail.message)


def request_of(
    export: Mapping[str, Any],
    timezone: str,
    window: Window | None,
    organisation: Organisation,
    password: str | None = None,
    since: str | None = None,
) -> dict[str, Any]:
    """The body of POST /v1/exports that a window of the schedule stands for (none: it has no range). `since`: the export that it is measured from.
    A `password` goes along where one is still wanted."""
    body = {"timezone": timezone, **{name: value for name, value in export.items() if name != "since"}} | (
        {"since": since} if since else {}
    )
    known = body.get("dataset") in datasets.names() if isinstance(body.get("dataset"), str) else False
    if window is not None and (not known or not shows_an_instant(body["dataset"])):
        body |= {"from": instant(window.from_), "to": instant(window.to)}
    if (
        password is not None
        and "password" not in body
        and (organisation.require_password or (known and datasets.get(body["dataset"]).protected))
    ):
        body["password"] = password
    return body


def shows_an_instant(dataset: str, export: Mapping[str, Any] | None = None) -> bool:
    """Whether the export has no range: then a run shows its own instant, and an earlier window can't be made up for."""
    return datasets.get(dataset).range_rule == "refused" or (export is not None and measured(export))


def resumption(body: Mapping[str, Any]) -> str | None:
    """What is done with the windows of the pause; None: as the schedule says. Raises ApiError 400."""
    wrong = [Detail(name[:80], "unknown field") for name in body if name != "catch_up"]
    chosen = body.get("catch_up")
    if "catch_up" in body and (chosen not in CATCH_UP or not isinstance(chosen, str)):
        wrong.append(Detail("catch_up", f"must be one of {', '.join(CATCH_UP)}"))
    if wrong:
        raise invalid_request(*wrong)
    return chosen
