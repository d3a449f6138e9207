"""Files under a password as LibreOffice opens them. Its command line takes no password, so a macro of a profile of our own does."""

import csv
import io
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

_DOCTYPE = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE {kind} PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "{dtd}.dtd">\n'
_LIBRARY, _SCRIPT = "http://openoffice.org/2000/library", "http://openoffice.org/2000/script"
# Without a word that it has been set up, LibreOffice would put its own empty profile over ours.
_SET_UP = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry"><item oor:path="/org.openoffice.Setup/Office">
<prop oor:name="ooSetupInstCompleted" oor:op="fuse"><value>true</value></prop></item></oor:items>"""
_MACRO = """
Sub OpenWith(source As String, folder As String, passwords As String)
    Dim given(1) As New com.sun.star.beans.PropertyValue
    Dim wanted(1) As New com.sun.star.beans.PropertyValue
    wanted(0).Name = "FilterName"
    wanted(0).Value = "Text - txt - csv (StarCalc)"
    wanted(1).Name = "FilterOptions"
    wanted(1).Value = "44,34,76,1,,0,false,true,false"
    given(0).Name = "Hidden"
    given(0).Value = True
    given(1).Name = "Password"
    words = Split(passwords, ",")
    On Error Resume Next
    For i = 0 To UBound(words)
        given(1).Value = words(i)
        book = Nothing
        book = StarDesktop.loadComponentFromURL(ConvertToURL(source), "_blank", 0, given())
        If Not IsNull(book) Then
            book.storeToURL(ConvertToURL(folder & "/" & i & ".csv"), wanted())
            book.close(True)
        End If
    Next i
    StarDesktop.terminate()
End Sub
"""


def sheets(content: bytes, passwords: Sequence[str], home: Path) -> list[list[list[str]] | None]:
    """The first sheet of a workbook as each password (none has a comma) opens it; None where it doesn't. `home`: an empty folder."""
    program = shutil.which("soffice") or shutil.which("localc")
    assert program, "LibreOffice is missing: `make test` says how to install it"
    _profile(home / ".config" / "libreoffice" / "4" / "user")
    (home / "made.xlsx").write_bytes(content)
    call = f'macro:///Standard.Opening.OpenWith("{home / "made.xlsx"}","{home}","{",".join(passwords)}")'
    command, environment = [program, "--headless", "--norestore", call], {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    subprocess.run(command, check=True, capture_output=True, timeout=120, env=environment)
    return [_table(home / f"{i}.csv") for i in range(len(passwords))]


def _profile(user: Path) -> None:
    library = user / "basic" / "Standard"
    library.mkdir(parents=True)
    (user / "registrymodifications.xcu").write_text(_SET_UP)
    (user / "basic" / "script.xlc").write_text(
        _DOCTYPE.format(kind="library:libraries", dtd="libraries")
        + f'<library:libraries xmlns:library="{_LIBRARY}"><library:library library:name="Standard" library:link="false"/></library:libraries>'
    )
    (library / "script.xlb").write_text(
        _DOCTYPE.format(kind="library:library", dtd="library")
        + f'<library:library xmlns:library="{_LIBRARY}" library:name="Standard" library:readonly="false" library:passwordprotected="false">'
        '<library:element library:name="Opening"/></library:library>'
    )
    (library / "Opening.xba").write_text(
        _DOCTYPE.format(kind="script:module", dtd="module")
        + f'<script:module xmlns:script="{_SCRIPT}" script:name="Opening" script:language="StarBasic">{escape(_MACRO)}</script:module>'
    )


def _table(path: Path) -> list[list[str]] | None:
    return list(csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline=""))) if path.exists() else None
