"""What the files of a schedule's runs are called, and in which folder of the SFTP server they appear (datasets.yaml, "schedules")."""

from datetime import datetime

from ulid import ULID

from services.export_request.core.windows import Window
from shared.datasets.base import Dataset
from shared.datasets.instants import zone


def folder(dataset: Dataset) -> str:
    """Below the SFTP server's root; the dataset's name where it has no path."""
    return dataset.path or dataset.name


def stem(org_id: str, dataset: Dataset, window: Window, timezone: str, export_id: str, instant: bool = False) -> str:
    """A file's name without number and endings: `<org_id>_<path>_<from>_<to>_<uuid>`, and for what shows an `instant` `<org_id>_<path>_<at>_<uuid>`."""
    times = (window.to,) if instant or dataset.range_rule == "refused" else (window.from_, window.to)
    return "_".join([org_id, folder(dataset), *(_local(each, timezone) for each in times), _uuid(export_id)])


def _local(at: datetime, timezone: str) -> str:
    return at.astimezone(zone(timezone)).strftime("%d%m%Y%H%M%S")


def _uuid(export_id: str) -> str:
    """The 128 bits of the id's ULID."""
    return str(ULID.from_str(export_id.partition("_")[2]).to_uuid())
