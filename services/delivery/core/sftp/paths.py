"""What a path of a client names. Everything is lexical: there are no links, and no folder of a disk behind it."""

import posixpath
from collections.abc import Container
from dataclasses import dataclass

from shared.datasets import registry

ROOT, EXPORT = "/", "/export"
PATH_BYTES_MAX = 4096
NAME_BYTES_MAX = 255


@dataclass(frozen=True)
class Root:
    """`/`: it holds the folder `export` and nothing else."""


@dataclass(frozen=True)
class Exports:
    """`/export`: a folder for each dataset."""


@dataclass(frozen=True)
class Folder:
    """`/export/<path>`."""

    path: str


@dataclass(frozen=True)
class File:
    """`/export/<path>/<name>`, which may be there or not."""

    path: str
    name: str


Place = Root | Exports | Folder | File


def folders() -> frozenset[str]:
    """Every dataset's folder; they are there before the first file is."""
    return frozenset(dataset.path for dataset in registry.all_datasets().values())


def absolute(path: bytes) -> str | None:
    """`path` without `.`, `..` and doubled slashes, from the root; `..` of the root is the root. None for what can't name anything here."""
    if len(path) > PATH_BYTES_MAX or b"\0" in path:
        return None
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "/" + posixpath.normpath("/" + text).lstrip("/")


def place_of(path: bytes, known: Container[str]) -> Place | None:
    """None where nothing can be."""
    found = absolute(path)
    if found is None:
        return None
    parts = found.split("/")[1:] if found != ROOT else []
    match parts:
        case []:
            return Root()
        case ["export"]:
            return Exports()
        case ["export", folder] if folder in known:
            return Folder(folder)
        case ["export", folder, name] if folder in known and len(name.encode()) <= NAME_BYTES_MAX:
            return File(folder, name)
        case _:
            return None
