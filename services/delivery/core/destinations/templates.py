"""Where a file goes at a destination: a path with placeholders, which never leads out of the place that it was given for.

What could lead out is refused when a destination is written, and can't come back by what is filled in: names are cleaned, and the whole path once more.
"""

import re
import unicodedata
from collections.abc import Mapping

from shared.checks import is_seen

TEMPLATE_CHARACTERS_MAX = 500
SEGMENT_BYTES_MAX = 255
NONE = "none"  # for what an export doesn't have

# What each stands for, and how many bytes it may come to.
PLACEHOLDERS: Mapping[str, tuple[str, int]] = {
    "org_id": ("the organisation's id", 63),
    "dataset": ("the dataset's name", 40),
    "path": ("the dataset's folder, as on the SFTP server", 40),
    "export_id": ("the export's id", 40),
    "schedule_id": ("the schedule's id; 'none' where no schedule asked for it", 40),
    "year": ("the year in which the window begins (without a window: in which it was asked for), in the export's time zone", 4),
    "month": ("its month, two digits", 2),
    "day": ("its day, two digits", 2),
    "hour": ("its hour, two digits", 2),
    "from": ("where the window begins, as 2026-03-01T00-00-00; 'none' without one", 20),
    "to": ("where it ends", 20),
    "file": ("the file's name; where the template doesn't have it, it comes behind the template as a segment of its own", 200),
}
_HOLE = re.compile(r"\{([^{}]*)\}")
_ORGANISATION = re.compile(r"(?<![A-Za-z0-9{])org_", re.IGNORECASE)
_GOES_ON = re.compile(r"[A-Za-z0-9_{-]")
_UNSAFE = re.compile(r"[/\\{}%\ud800-\udfff]")


def problem_with(template: object, org_id: str) -> str | None:
    """What is wrong with a path for files (`exports/{dataset}/{year}`; empty: at the top), for people; None where it will do."""
    if not isinstance(template, str) or len(template) > TEMPLATE_CHARACTERS_MAX:
        return f"must be a path of at most {TEMPLATE_CHARACTERS_MAX} characters"
    if not template:
        return None
    return _problem_with_placeholders(template) or _problem_with_path(template, org_id) or _problem_with_length(template)


def problem_with_text(template: object, characters_max: int) -> str | None:
    """The same for one line of text with placeholders, which leads nowhere (a subject)."""
    if not isinstance(template, str) or not 1 <= len(template) <= characters_max or not template.strip() or not is_seen(template):
        return f"must be text of 1 to {characters_max} printable characters, on one line"
    return _problem_with_placeholders(template)


def fill(template: str, names: Mapping[str, str], file: str) -> str:
    """The path of one file. `template` is one that nothing is wrong with; `names` has all placeholders but `file`, of whatever is in them."""
    filled = _filled(template if "{file}" in template else f"{template.removesuffix('/')}/{{file}}".lstrip("/"), {**names, "file": file})
    own = names["org_id"]
    safe = _ORGANISATION.sub(lambda found: found[0] if _is_own(filled, found.start(), own) else f"{found[0][:3]}-", filled)
    return "/".join(_segment(each) for each in safe.split("/"))


def fill_text(template: str, names: Mapping[str, str], file: str = NONE) -> str:
    return _filled(template, {**names, "file": file})


def _filled(template: str, names: Mapping[str, str]) -> str:
    return _HOLE.sub(lambda hole: _clean(names[hole[1]], PLACEHOLDERS[hole[1]][1]), template)


def _clean(value: str, bytes_max: int) -> str:
    """A value as a piece of one segment: never empty, on one line, nothing in it that a path or a template means something by."""
    plain = _UNSAFE.sub("_", unicodedata.normalize("NFKC", value))
    seen = "".join(c if is_seen(c) else "_" for c in plain).encode()[:bytes_max].decode(errors="ignore")
    return seen or NONE


def _segment(text: str) -> str:
    """No segment is empty or one that leads up, also not to who takes blanks and dots at its end away."""
    kept = text.strip(" ").rstrip(" .")
    return kept or "_"


# ---- what is refused


def _problem_with_placeholders(template: str) -> str | None:
    for name in _HOLE.findall(template):
        if name not in PLACEHOLDERS:
            return f"has the unknown placeholder '{{{name[:40]}}}'; known are {', '.join(f'{{{each}}}' for each in PLACEHOLDERS)}"
    if "{" in (rest := _HOLE.sub("", template)) or "}" in rest:
        return "has a single '{' or '}': they stand around placeholders only"
    if "{file}" in template and (template.count("{file}") > 1 or "{file}" not in template.rpartition("/")[2]):
        return "may have '{file}' once, in its last segment"
    return None


def _problem_with_path(template: str, org_id: str) -> str | None:
    """In each of the ways in which a server may read it."""
    if not is_seen(template) or any("\ud800" <= c <= "\udfff" for c in template):
        return "must not hold control characters, ends of lines or invisible characters"
    for text in dict.fromkeys((template, unicodedata.normalize("NFKC", template))):
        if "\\" in text or "%" in text:
            return "must not hold a backslash or '%'"
        if text.startswith("/"):
            return "must be relative: it must not begin with '/'"
        segments = text.removesuffix("/").split("/")
        if "" in segments:
            return "has an empty segment ('//')"
        if "." in segments or ".." in segments:
            return "must not hold the segments '.' or '..'"
        if any(s != s.strip(" ") or s.endswith(".") for s in segments):
            return "has a segment that begins or ends with a space, or ends with a dot"
        if problem := _problem_with_organisation(text, org_id):
            return problem
    return None


def _problem_with_organisation(text: str, org_id: str) -> str | None:
    """An id ends where no character of an id follows: `org_acme_eu` is another organisation than `org_acme`."""
    for found in _ORGANISATION.finditer(text):
        if not _is_own(text, found.start(), org_id) or _GOES_ON.match(text, found.start() + len(org_id)):
            return "names another organisation: '{org_id}' stands for your own"
    if any(_GOES_ON.match(after) for after in text.split("{org_id}")[1:]):
        return "must go on with '/' or '.' behind '{org_id}', or it may become another organisation's id"
    return None


def _is_own(text: str, at: int, org_id: str) -> bool:
    """Whether it is the organisation's own id that begins there. (What is filled in may go on behind it: our files' names do.)"""
    return text.startswith(org_id, at) and not text[at + len(org_id) : at + len(org_id) + 1].isalnum()


def _problem_with_length(template: str) -> str | None:
    for segment in template.split("/"):
        longest = len(_HOLE.sub("", segment).encode()) + sum(PLACEHOLDERS[name][1] for name in _HOLE.findall(segment))
        if longest > SEGMENT_BYTES_MAX:
            return f"has a segment that may become longer than {SEGMENT_BYTES_MAX} bytes"
    return None
