"""What verifying can find wrong, as people and machines read it."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """`code` is the machine's word. `parts`, `first_byte` and `last_byte` (counted from 0, inclusive) say where in the file, `field` where in the manifest."""

    code: str
    message: str
    file: str | None = None
    parts: tuple[int, ...] = ()
    first_byte: int | None = None
    last_byte: int | None = None
    first_key: str | None = None
    last_key: str | None = None
    field: str | None = None

    def shown(self) -> dict[str, Any]:
        """Without what it doesn't say."""
        return {name: value for name, value in asdict(self).items() if value not in (None, ())}
