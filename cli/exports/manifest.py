"""The manifest beside the files, and the public keys that verify it, so that `waybill verify` needs nobody later."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.core.manifests import is_plain_name
from cli.errors import CliError
from cli.exports.watching import path_of
from cli.verify.folder import SUFFIX
from cli.verify.keys import merged, read
from shared.signing import KEYS_FILE, KEYS_PATH, PublicKey, SignatureProblem, from_jwks

if TYPE_CHECKING:
    from cli.api import Api


def save_manifest(api: "Api", export: dict[str, Any], folder: Path, *, force: bool) -> Path:
    """The export's manifest in `folder`, byte for byte. One of that name with other bytes stays unless `force`. Raises CliError."""
    name = f"{export.get('dataset')}_{export.get('id')}{SUFFIX}"
    if not is_plain_name(name):
        raise CliError(f"id: {name!r} is no plain file name; nothing is written.", "unsafe_name")
    target = folder / name
    text = api.call("GET", path_of(str(export["id"])) + "/manifest").content
    if target.exists() and not force and target.read_bytes() != text:
        raise CliError(f"{target} is there already, with other bytes: move it away, or give --force.", "exists")
    _write(target, text)
    save_keys(api, folder / KEYS_FILE)
    return target


def save_keys(api: "Api", target: Path) -> None:
    """Keys that are there from other downloads stay."""
    old = read(target, "keys") if target.exists() else {}
    _write(target, merged(old, published_keys(api)).encode())


def published_keys(api: "Api") -> dict[str, PublicKey]:
    """The keys that manifests and checkpoints are signed with. Raises CliError."""
    try:
        return from_jwks(api.json("GET", KEYS_PATH))
    except SignatureProblem as problem:
        raise CliError(f"{KEYS_PATH}: {problem.message}.", "unexpected_answer") from None


def _write(target: Path, data: bytes) -> None:
    """Whole or not at all."""
    partial = target.with_name(f".{target.name}.waybill-part")
    partial.write_bytes(data)
    os.replace(partial, target)
