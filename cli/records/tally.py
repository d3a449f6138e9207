"""What became of the records of one `records send`."""

from dataclasses import asdict, dataclass, field
from typing import Any

from cli.core.places import Refused

LISTED_MAX = 10_000


@dataclass
class Tally:
    """Counts, and the refused lines: as many as memory should hold; `unlisted` counts the others."""

    accepted: int = 0
    published: int = 0
    stale: int = 0
    unlisted: int = 0
    refused: list[Refused] = field(default_factory=list)

    def refuse(self, one: Refused) -> None:
        if len(self.refused) < LISTED_MAX:
            self.refused.append(one)
        else:
            self.unlisted += 1

    @property
    def refused_count(self) -> int:
        return len(self.refused) + self.unlisted

    def document(self, via: str, data_bytes: int, seconds: float) -> dict[str, Any]:
        counts = {"published": self.published} if via == "kafka" else {"accepted": self.accepted, "stale": self.stale}
        done = self.published if via == "kafka" else self.accepted + self.stale
        return {
            "via": via,
            **counts,
            "refused_count": self.refused_count,
            "refused": [asdict(one) for one in self.refused],
            "bytes": data_bytes,
            "seconds": round(seconds, 3),
            "records_per_second": round(done / seconds) if seconds > 0 else 0,
        }
