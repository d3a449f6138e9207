"""What a reconciliation of the store and the tables says."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

# Of every object in the store, and of every published file: what it is.
MATCHED = "matched"  # there, and of the size that the tables say
WRONG_SIZE = "wrong_size"
MISSING = "missing"  # published, and not in the store
UNDER_WAY = "under_way"  # of an export that runs, that has just ended, or whose objects are about to be removed; or too young to say
ORPHAN_FILES, ORPHAN_PARTS = "orphan_files", "orphan_parts"  # of nobody: left by what crashed, or woke up late
FOREIGN = "foreign"  # under other names than ours: nothing is said of it, and nothing done
KINDS = (MATCHED, WRONG_SIZE, MISSING, UNDER_WAY, ORPHAN_FILES, ORPHAN_PARTS, FOREIGN)
HARM = (WRONG_SIZE, MISSING)  # what can't be mended here
EXAMPLES_MAX = 20


@dataclass(frozen=True)
class Count:
    objects: int = 0
    bytes: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.objects + other.objects, self.bytes + other.bytes)

    def __sub__(self, other: "Count") -> "Count":
        return Count(self.objects - other.objects, self.bytes - other.bytes)


@dataclass(frozen=True)
class Report:
    """`kinds`: by what it is; of what is missing or of another size, bytes are those that the tables say. `store`: all that is there; `tables`: all that was
    published and is kept, with its manifests. `uploads`: begun long ago and never completed. `removed`: orphans, by a repair, which also ended the uploads."""

    store: Count
    tables: Count
    kinds: Mapping[str, Count]
    uploads: int = 0
    removed: Count = Count()
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def kind(self, name: str) -> Count:
        return self.kinds.get(name, Count())

    @property
    def left(self) -> Count:
        """Orphans that are still there."""
        return self.kind(ORPHAN_FILES) + self.kind(ORPHAN_PARTS) - self.removed

    @property
    def agree(self) -> bool:
        return not any(self.kind(name).objects for name in HARM) and not self.left.objects and not self.uploads

    def view(self) -> dict[str, Any]:
        return {
            "agree": self.agree, "store": asdict(self.store), "tables": asdict(self.tables), **{name: asdict(self.kind(name)) for name in KINDS},
            "abandoned_uploads": self.uploads, "removed": asdict(self.removed), "examples": {k: list(v) for k, v in self.examples.items()},
        }  # fmt: skip
