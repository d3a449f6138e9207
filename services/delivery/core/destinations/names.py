"""What placeholders stand for, of one export (see templates.py)."""

from collections.abc import Mapping
from datetime import datetime

from services.delivery.core.destinations.templates import NONE
from shared.datasets import registry
from shared.datasets.instants import local_time, zone


def names_of(
    org_id: str, export_id: str, schedule_id: str | None, dataset: str, timezone: str, created_at: datetime, window: tuple[datetime | None, datetime | None]
) -> Mapping[str, str]:  # fmt: skip
    """All placeholders but the file's name. Times are those of the export's time zone."""
    local, (begins, ends) = zone(timezone), window
    day = local_time(begins or created_at, local)
    return {
        "org_id": org_id, "dataset": dataset, "path": _path(dataset), "export_id": export_id, "schedule_id": schedule_id or NONE,
        "year": f"{day.year:04}", "month": f"{day.month:02}", "day": f"{day.day:02}", "hour": f"{day.hour:02}",
        "from": _time(local_time(begins, local)) if begins else NONE, "to": _time(local_time(ends, local)) if ends else NONE,
    }  # fmt: skip


def _path(dataset: str) -> str:
    found = registry.all_datasets().get(dataset)
    return (found.path if found else None) or dataset


def _time(local: datetime) -> str:
    return local.strftime("%Y-%m-%dT%H-%M-%S")
