"""From a seed to what befalls the deliveries of a round. Pure: the same seed, the same troubles."""

import random
from dataclasses import dataclass

MESSAGES, MESSAGE_BYTES = 40, 200_000  # about 8 MB a file: brought in several pieces, and in several parts
MAILED = 3  # messages of an export that goes by mail
TROUBLES = 4  # of a round of the suite's beginning
# What the suite's beginning knew: on the way, at the server, or as its answer to the first write.
WAYS = {"sftp": ("cut", "kill", "stop", "hang", "die"), "s3": ("cut", "kill", "stop", "hang", "500", "full", "refuse")}
LATER_FROM = 4000  # rounds of seeds from here on have fewer of those, and some of LATER; the troubles of seeds before are as they were
FIRST, MORE = 2, 3
LATER = (
    ("webhook", "500"), ("email", "refuse-one"), ("sftp", "key"), ("s3", "die"), ("webhook", "lose"), ("sftp", "moves"), ("email", "cut"), ("sftp", "full"),
    ("webhook", "kill"), ("s3", "moves"), ("email", "later-one"), ("webhook", "cut"), ("sftp", "away"), ("webhook", "410"), ("email", "kill"), ("s3", "fill"),
    ("webhook", "moves"), ("sftp", "slow"), ("email", "lose"), ("webhook", "hang"), ("s3", "away"), ("email", "die"), ("webhook", "pause"), ("s3", "slow"),
    ("email", "hang"), ("webhook", "die"), ("email", "away"), ("webhook", "stop"), ("webhook", "away"), ("email", "stop"), ("webhook", "slow"),
)  # fmt: skip
# What stays until the delivery has ended ends it with one of these.
UNREACHED = frozenset({"refused", "disconnected", "timeout"})
STAYS = {
    ("s3", "refuse"): frozenset({"permission_denied"}),
    ("s3", "fill"): frozenset({"quota"}),
    ("sftp", "full"): frozenset({"quota", "rejected"}),  # the protocol has no word for it
    ("sftp", "key"): frozenset({"host_key_changed"}),
    ("webhook", "410"): frozenset({"not_found"}),
    ("webhook", "pause"): frozenset({"not_found"}),
    ("email", "refuse-one"): frozenset({"rejected"}),
    **{(kind, "away"): UNREACHED for kind in ("sftp", "s3", "webhook", "email")},
    **{(kind, "moves"): frozenset({"address_refused"}) for kind in ("sftp", "s3", "webhook")},
}
# Addresses that no name may lead us to: private, a cloud's metadata, this machine by another way, one behind NAT64.
INSIDE = ("10.0.0.7", "169.254.169.254", "192.168.1.1", "0.0.0.0", "fd00::7", "::ffff:10.0.0.7", "64:ff9b::a00:7")


@dataclass(frozen=True)
class Trouble:
    """`after`: so many bytes on the way there; what is answered by a door comes with the first write. What counts in other things takes them from it."""

    type: str
    kind: str
    after: int

    def __str__(self) -> str:
        return f"{self.kind} {self.type} after {self.after} bytes"

    @property
    def codes(self) -> frozenset[str]:
        """Why the delivery may fail; nothing where it may not."""
        return STAYS.get((self.type, self.kind), frozenset())

    @property
    def stays(self) -> bool:
        """Whether a delivery that it came to must fail: of a server that goes away it may have had the last word, and a name may move too late."""
        return bool(self.codes) and self.kind not in ("away", "moves")

    def pick(self, choices: int) -> int:
        """A number below `choices`, of the seed's."""
        return self.after % choices


def plan(seed: int) -> list[Trouble]:
    """Seeds in a row go through all of LATER; the others are drawn."""
    dice = random.Random(f"bringing {seed}")
    if seed < LATER_FROM:
        return [_first(dice) for _ in range(TROUBLES)]
    places = range(seed * MORE, seed * MORE + MORE)
    found = [_first(dice) for _ in range(FIRST)] + [_at(dice, *LATER[place % len(LATER)]) for place in places]
    dice.shuffle(found)
    return found


def _first(dice: random.Random) -> Trouble:
    type_ = dice.choice(sorted(WAYS))
    return _at(dice, type_, dice.choice(WAYS[type_]))


def _at(dice: random.Random, type_: str, kind: str) -> Trouble:
    """Half of them in the first bytes, where connections, logins and beginnings are."""
    size = (MAILED if type_ == "email" else MESSAGES) * MESSAGE_BYTES
    return Trouble(type_, kind, dice.randrange(30_000 if dice.random() < 0.5 else size))
