"""Typesets reports with typst, a process each: what its compiler remembers of a document goes with the process, and what takes it down takes nothing else.

`python -I -m shared.formatting.typesetting` reads a report's content as JSON and writes the PDF. It gets no environment, so no secrets, and has a limit of memory
and time. The template reads what it is given and nothing else: content is data, never markup.
"""

import base64
import json
import re
import subprocess
import sys
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from shared.errors import PermanentError, TransientError

SECONDS_MAX, LOGO_SECONDS_MAX = 120, 20
MEMORY_MAX = 4 << 30  # of addresses, most of them never used
_TEMPLATE = Path(__file__).with_name("report.typ")
_FONTS = ("manimgx_fonts", "manimgx_fonts_cjk", "fontpkg_amiri")
_BAD_LOGO, _FAILED = 3, 4
# How typst says that no font has a character, or that a character has no place in a PDF for everyone.
_UNSET = re.compile("could not be displayed|disallowed codepoint")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def typeset(content: dict[str, Any]) -> bytes:
    """The PDF of a report's content: the same content gives the same bytes. Blocks. Raises PermanentError `logo_unreadable`, `report_failed`."""
    done = _apart(content, SECONDS_MAX)
    if done is None:
        raise PermanentError("report_failed", f"The report can't be typeset within {SECONDS_MAX} seconds.")
    if done.returncode == _BAD_LOGO:
        raise PermanentError("logo_unreadable", "The logo in your organisation's settings can't be read: set branding.logo again.")
    if done.returncode:
        why = done.stderr.decode(errors="replace")[:200] if done.returncode == _FAILED else f"typst ended with {done.returncode}"
        raise PermanentError("report_failed", f"The report can't be typeset: {why}")
    return done.stdout


def can_draw(logo: str) -> bool:
    """Whether reports can show a picture (`data:image/png;base64,…`): asked of what will draw it, in a process of its own. Blocks, some 0.1 s.

    Raises TransientError where the process doesn't get to it: that says nothing of the picture.
    """
    done = _apart({"logo": picture(logo)}, LOGO_SECONDS_MAX, "--logo")
    if done is None or done.returncode < 0:  # ended by a signal
        raise TransientError("The logo couldn't be drawn in time.", "The typesetter")
    return not done.returncode


def picture(logo: str) -> dict[str, str]:
    """A picture as the template takes it."""
    head, _, data = logo.partition(",")
    return {"format": "jpg" if head.startswith("data:image/jpeg") else "png", "base64": data}


def _apart(content: dict[str, Any], seconds: float, *arguments: str) -> "subprocess.CompletedProcess[bytes] | None":
    """What a process of its own makes of a content; None where it takes too long."""
    command, given = [sys.executable, "-I", "-m", __name__, *arguments], json.dumps(content).encode()
    try:
        return subprocess.run(command, input=given, capture_output=True, timeout=seconds, env={}, check=False)
    except subprocess.TimeoutExpired:
        return None


# ---- in the process of its own


def _main() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_MAX, SECONDS_MAX))
    import typst

    content = json.load(sys.stdin)
    if content["logo"]:
        content["logo"]["bytes"] = list(base64.b64decode(content["logo"].pop("base64")))
    try:
        sys.stdout.buffer.write(_drawn(content["logo"]) if "--logo" in sys.argv else _compiled(content))
    except typst.TypstError as error:
        bad_logo = "decode image" in error.message or "image format" in error.message
        sys.stderr.write(re.split('[`"]', error.message)[0])  # what comes behind may be a customer's
        sys.exit(_BAD_LOGO if bad_logo else _FAILED)


def _drawn(logo: dict[str, Any]) -> bytes:
    import typst

    given = {"content": json.dumps(logo)}
    made = typst.compile(b"#let logo = json(bytes(sys.inputs.content))\n#image(bytes(logo.bytes), format: logo.format)", sys_inputs=given)
    assert isinstance(made, bytes)
    return made


def _compiled(content: dict[str, Any]) -> bytes:
    """What can't be set shows as a replacement character: first what no font has, and if that isn't it (marks on what they don't belong to), all but ASCII."""
    import typst

    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(files(package)) for package in _FONTS])
    compiler = typst.Compiler(
        root=str(_TEMPLATE.parent),
        font_paths=fonts,
        ignore_system_fonts=True,
        package_path="/nonexistent",
        package_cache_path="/nonexistent",
    )
    template = _TEMPLATE.read_bytes()

    def pdf(source: bytes, data: Any) -> bytes:
        made = compiler.compile(source, format="pdf", sys_inputs={"content": json.dumps(data)}, pdf_standards=["1.7", "ua-1"])
        assert isinstance(made, bytes)
        return made

    def is_set(char: str) -> bool:
        try:
            pdf(b'#set document(title: "x", date: none)\n#set text(font: json(bytes(sys.inputs.content)).fonts, fallback: false)\n#json(bytes(sys.inputs.content)).char',
                {"char": char, "fonts": families})  # fmt: skip
        except typst.TypstError:
            return False
        return True

    last = {"Noto Sans Symbols", "Noto Emoji"}
    first = ["Noto Sans", "Amiri", f"Noto Sans CJK {content['organisation']['cjk']}"]
    others = {name for name in fonts.families() if name not in first and name != "Noto Sans Arabic" and "CJK" not in name}
    families = [*first, *sorted(others - last), *sorted(last)]
    content["fonts"] = families
    for keeps in (None, cache(is_set), str.isascii):
        try:
            return pdf(template, content if keeps is None else _mapped(content, partial(_kept, keeps)))
        except typst.TypstError as error:
            if keeps is str.isascii or not _UNSET.search(error.message):
                raise
    raise AssertionError("unreachable")


def _kept(keeps: Any, text: str) -> str:
    return "".join(c if c.isascii() or keeps(c) else _REPLACEMENT for c in text)


def _mapped(value: Any, change: Any) -> Any:
    """JSON with each of its texts changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return value if value and isinstance(value[0], int) else [_mapped(each, change) for each in value]
    return {key: _mapped(each, change) for key, each in value.items()} if isinstance(value, dict) else value


if __name__ == "__main__":
    _main()
