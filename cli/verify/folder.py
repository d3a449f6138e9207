"""A folder of downloaded files: its manifests, each checked with its signature and files, and what nobody speaks for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.core.manifests import Claim, read
from cli.core.problems import Problem
from cli.core.scan import Scan
from cli.errors import CliError
from cli.verify.keys import Trusted
from shared import strictjson
from shared.signing import KEYS_FILE, SignatureProblem, check

SUFFIX = ".manifest.json"
PIECE_BYTES = 1 << 20
NESTING_MAX = 64  # a request nests 32 levels deep at most, and lies inside of the manifest

OnBytes = Callable[[int], None]


@dataclass
class Checked:
    """A manifest, and what came out."""

    path: Path
    document: dict[str, Any] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    signed_by: str | None = None  # None: the signature isn't good
    keys: str = ""


def manifests_in(target: Path) -> list[Path]:
    """The manifests of a folder, or the one that `target` is. Raises CliError where there is none."""
    if target.is_file():
        return [target]
    if not target.is_dir():
        raise CliError(f"{target} is neither a folder nor a manifest.", "not_found")
    found = sorted(path for path in target.iterdir() if path.name.endswith(SUFFIX) and path.is_file())
    if not found:
        raise CliError(
            f"{target} holds no manifest (*{SUFFIX}): `waybill exports download` saves one beside the files.", "manifest_missing"
        )
    return found


def open_manifest(path: Path, trust: Trusted) -> Checked:
    """The manifest's claims and its signature; the files aren't looked at yet."""
    checked = Checked(path, keys=trust.source)
    try:
        document = strictjson.loads(path.read_bytes(), NESTING_MAX)
    except strictjson.JsonProblem as problem:
        where = f"{problem.field}: " if problem.field else ""
        checked.problems.append(Problem("manifest_malformed", f"{path.name}: {where}{problem.message}.", field=problem.field or None))
        return checked
    if not isinstance(document, dict):
        checked.problems.append(Problem("manifest_malformed", f"{path.name}: is not a JSON object."))
        return checked
    checked.document = document
    try:
        checked.signed_by = check(document, trust.keys).id
    except SignatureProblem as problem:
        source = f" (keys: {trust.source})" if problem.code == "signature_key_unknown" else ""
        checked.problems.append(Problem(problem.code, f"{path.name}: {problem.message}{source}", field="signature"))
    checked.claims, wrong = read(document)
    checked.problems += wrong
    return checked


def check_files(checked: Checked, on_bytes: OnBytes) -> None:
    """Every file that the manifest claims, each read once."""
    for claim in checked.claims:
        checked.problems += _check_file(checked.path.parent / claim.name, claim, on_bytes)


def _check_file(path: Path, claim: Claim, on_bytes: OnBytes) -> list[Problem]:
    if not path.exists():
        on_bytes(claim.bytes)
        return [Problem("file_missing", f"{claim.name}: is missing.", claim.name)]
    if not path.is_file():
        on_bytes(claim.bytes)
        return [Problem("file_missing", f"{claim.name}: is not a file.", claim.name)]
    scan = Scan(claim)
    buffer = bytearray(PIECE_BYTES)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            scan.feed(memoryview(buffer)[:count])
            on_bytes(count)
    return scan.problems()


def extra_in(folder: Path, checked: Sequence[Checked]) -> list[Problem]:
    """What lies in the folder and is in no manifest. Hidden files don't count."""
    spoken_for = {claim.name for each in checked for claim in each.claims} | {each.path.name for each in checked} | {KEYS_FILE}
    extra = sorted(path for path in folder.iterdir() if path.name not in spoken_for and not path.name.startswith("."))
    return [
        Problem("file_extra", f"{path.name}{'/' if path.is_dir() else ''}: is in no manifest (--allow-extra lets it be).", path.name)
        for path in extra
    ]
