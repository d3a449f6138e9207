"""Looks for secrets in everything that would be committed, with detect-secrets: keys and tokens by their shape, words like `password` with a value, random text.

`python -m tools.secret_scan [FILE…]` names file and line of each, never the secret, and exits 1. What is none carries `pragma: allowlist secret` in a comment of
its line: so whoever reads the line sees that somebody looked.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

ROOT = Path(__file__).resolve().parent.parent
# These guess, by a word, a URL or how random a text is. Tests are full of passwords that open nothing, examples (of messages, of the API) of ids and checksums.
GUESSING = ("Base64HighEntropyString", "BasicAuthDetector", "HexHighEntropyString", "KeywordDetector")
NOT_GUESSED_IN = re.compile(r"(tests|schemas)/|services/.*/operations\w*\.py$")
# Hashes of packages, customers' texts that we made up, seeds, what is made of the code.
LEFT_OUT = (".lock", "tests/examples/", "tests/faults/log.jsonl", "schemas/openapi.json")
WITHOUT_GIT = (".git", ".venv", "target", "__pycache__", "node_modules")
ENTROPY = {"Base64HighEntropyString": 4.5, "HexHighEntropyString": 3.0}
FILTERS = (
    "allowlist.is_line_allowlisted", "heuristic.is_sequential_string", "heuristic.is_potential_uuid", "heuristic.is_templated_secret",
    "heuristic.is_prefixed_with_dollar_sign", "heuristic.is_indirect_reference", "heuristic.is_not_alphanumeric_string",
)  # fmt: skip


def files(root: Path = ROOT) -> list[str]:
    """What git has or would take, else what lies there; relative to `root`."""
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True)
    if listed.returncode == 0:
        found = [name for name in listed.stdout.split("\0") if name and (root / name).is_file()]
    else:
        found = [str((Path(folder) / name).relative_to(root)) for folder, names in _walk(root) for name in names]
    return sorted(name for name in found if not name.endswith(LEFT_OUT) and not name.startswith(LEFT_OUT))


def _walk(root: Path) -> Iterator[tuple[str, list[str]]]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in WITHOUT_GIT and not name.startswith(".local")]
        yield folder, names


def scan(root: Path, names: Iterable[str]) -> list[tuple[str, int, str]]:
    """(file, line, kind) of each that looks like a secret."""
    kinds: dict[str, type] = get_mapping_from_secret_type_to_class()
    every = sorted(kind.__name__ for kind in kinds.values())
    found: list[tuple[str, int, str]] = []
    for guessing in (True, False):
        plugins = [name for name in every if guessing or name not in GUESSING]
        with transient_settings(_settings(plugins)):
            for name in names:
                if guessing is not bool(NOT_GUESSED_IN.match(name)):
                    found += [(name, secret.line_number, secret.type) for secret in scan_file(str(root / name))]
    return sorted(set(found))


def _settings(plugins: Iterable[str]) -> dict[str, Any]:
    used: list[dict[str, Any]] = [{"name": name} | ({"limit": ENTROPY[name]} if name in ENTROPY else {}) for name in plugins]
    return {"plugins_used": used, "filters_used": [{"path": f"detect_secrets.filters.{name}"} for name in FILTERS]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", help="only these")
    names = [str(Path(name).resolve().relative_to(ROOT)) for name in parser.parse_args().files] or files()
    found = scan(ROOT, names)
    for name, line, kind in found:
        print(f"{name}:{line}: {kind}", file=sys.stderr)
    if found:
        print(
            "A secret that was committed is known: change it where it opens something, then take it out. What is none: pragma: allowlist secret.",
            file=sys.stderr,
        )
    print(f"{len(names)} files, {len(found) or 'no'} secrets")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
