"""The oracle: records, settings and scores in; for a request and a format the bytes of its file out."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tests.oracle import analytics, care_figures, care_rows, chat_data, files, leads
from tests.oracle.columns import FORMATS, headers, key
from tests.oracle.files import Row
from tests.oracle.state import State
from tests.oracle.view import View
from tests.oracle.words import Stories

ROWS: dict[str, Callable[[View], Iterator[Row]]] = {
    **care_rows.DATASETS,
    **care_figures.DATASETS,
    **leads.DATASETS,
    **analytics.DATASETS,
}


class Oracle:
    def __init__(self, records: Iterable[dict[str, Any]], settings: dict[str, Any], scores: Mapping[str, int] | None = None) -> None:
        """`scores`: of leads, by id; who isn't in it has 0."""
        self.state = State(records)
        self._stories = Stories(self.state)
        self._settings, self._scores = settings, dict(scores or {})

    def file(self, request: dict[str, Any], fmt: str) -> bytes:
        """The file that an export of `request` (the body of POST /v1/exports) gives in this format: whole, not compressed or redacted.

        Of chat-data the JSON that its ZIP holds. Raises ValueError for what the dataset isn't written in here.
        """
        dataset: str = request["dataset"]
        if fmt not in FORMATS.get(dataset, ()):
            raise ValueError(f"{dataset} as {fmt} isn't the oracle's")
        view = View(self.state, self._stories, self._settings, self._scores, request, fmt)
        if dataset == "chat-data":
            return files.workbook(chat_data.workbook(view))
        if fmt == "txt":
            return leads.transcripts(view)
        columns, rows = self._columns(dataset, view)
        if fmt == "csv":
            return files.csv(columns.values(), rows, safe=request.get("spreadsheet_safe") is not False)
        named = [dict(zip(columns, row.values(), strict=True)) for row in rows]
        return files.jsonl(named) if fmt == "jsonl" else files.json(named)

    def sheets(self, request: dict[str, Any]) -> dict[str, tuple[list[str], list[Row]]]:
        """The workbook of an export, unredacted: by a sheet's name its headers and its rows. A sheet of chat-data without rows has no headers here."""
        dataset: str = request["dataset"]
        view = View(self.state, self._stories, self._settings, self._scores, request, "csv")
        if dataset == "chat-data":
            return {name: (list(rows[0]) if rows else [], rows) for name, rows in chat_data.workbook(view).items()}
        columns, rows = self._columns(dataset, view)
        if dataset != "conversations":
            return {dataset.replace("-", " ").capitalize(): (list(columns.values()), rows)}
        flat = [header for header in columns.values() if header not in ("messages", "events")]
        beside = {"Messages": list(leads.message_rows(view)), "Events": list(leads.event_rows(view))}
        headers = {
            "Messages": ["conversation_id", "sender", "content", "timestamp"],
            "Events": ["conversation_id", "type", "timestamp", "data"],
        }
        first = {"Conversations": (flat, [{header: row[header] for header in flat} for row in rows])}
        return first | {name: (headers[name], rows) for name, rows in beside.items()}

    @staticmethod
    def _columns(dataset: str, view: View) -> tuple[dict[str, str], list[Row]]:
        """The columns that the request picks, header by key, and the rows with these alone, in that order."""
        every = {key(dataset, header): header for header in headers(dataset, view)}
        picked = {name: every[name] for name in view.request.get("columns") or every}
        return picked, [{header: row[header] for header in picked.values()} for row in ROWS[dataset](view)]
