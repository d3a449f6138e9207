"""What a mail with an export's files says. Plain text and the same as HTML, without pictures or anything else that is fetched: nobody is watched while reading."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape


@dataclass(frozen=True)
class File:
    """`link` empty: it is attached."""

    name: str
    size: int  # bytes
    link: str = ""


@dataclass(frozen=True)
class Words:
    """A mail's text, twice."""

    text: str
    html: str


def words_of(dataset: str, export_id: str, files: Sequence[File], too_large_for: int | None, until: datetime | None) -> Words:
    """`too_large_for`: the files were to be attached, and come to more bytes than this. `until`: when links end."""
    count = "One file" if len(files) == 1 else f"{len(files)} files"
    linked = any(file.link for file in files)
    lines = [f"Your export of {dataset} is ready. {count}{':' if linked else ', attached:'}"]
    notes = []
    if too_large_for is not None:
        notes.append(f"They come to more than the {size_of(too_large_for)} that are attached here, so these are links.")
    if linked:
        end = f"until {_time(until)}" if until else "for a while"
        notes.append(f"A link works {end}, for anybody who has it: pass this mail on only to people who may have the files.")
    notes.append(f"Export {export_id}. This mail was sent by Waybill, because somebody set it up so; answers to it are not read.")
    text = [*lines, ""]
    for file in files:
        text += [f"  {file.name} ({size_of(file.size)})", *([f"  {file.link}", ""] if file.link else [])]
    text += [] if text[-1] == "" else [""]
    return Words("\n".join([*text, *notes]) + "\n", _html(lines[0], files, notes))


def _html(first: str, files: Sequence[File], notes: Sequence[str]) -> str:
    items = [
        "<li>" + (f'<a href="{escape(file.link)}">{escape(file.name)}</a>' if file.link else escape(file.name)) + f" ({size_of(file.size)})</li>"
        for file in files
    ]  # fmt: skip
    parts = [f"<p>{escape(first)}</p>", "<ul>", *items, "</ul>", *(f"<p>{escape(note)}</p>" for note in notes)]
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Your export</title></head>\n<body>\n{body}\n</body>\n</html>\n'


def size_of(size: int) -> str:
    """For people: `12.3 MB`."""
    amount, unit = float(size), "bytes"
    for bigger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, bigger
    return f"{size:,} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"


def _time(at: datetime) -> str:
    local = at.astimezone(UTC)
    return f"{local.day} {local:%B %Y, %H:%M} UTC"
