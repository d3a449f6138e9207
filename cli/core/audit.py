"""Whether a chain of the audit trail is whole, and still what signed checkpoints said of it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shared.audit_chain import Break, Checker, Head
from shared.signing import PublicKey, SignatureProblem, check


class Verification:
    """Takes every entry of a chain in order, then ends. `checkpoints` are those at hand, also ones that were kept elsewhere; `keys` those that count.

    `partial`: the entries need not begin with the first.
    """

    def __init__(self, checkpoints: Iterable[Mapping[str, Any]], keys: Mapping[str, PublicKey], partial: bool) -> None:
        self.breaks: list[Break] = []
        self.signed_by: set[str] = set()
        self._checker = Checker(None if partial else Head())
        self._expected: dict[int, dict[str, Mapping[str, Any]]] = {}
        self.checkpoints = 0
        for checkpoint in checkpoints:
            self._keep(checkpoint, keys)

    def _keep(self, checkpoint: Mapping[str, Any], keys: Mapping[str, PublicKey]) -> None:
        """Where no key is known at all, what a checkpoint says is compared nevertheless."""
        seq, hash_ = checkpoint.get("seq"), checkpoint.get("hash")
        if not isinstance(seq, int) or not isinstance(hash_, str):
            self.breaks.append(Break("checkpoint_malformed", None, "a checkpoint says no seq or no hash"))
            return
        if keys:
            try:
                self.signed_by.add(check(checkpoint, keys).id)
            except SignatureProblem as problem:
                self.breaks.append(Break("checkpoint_unproven", seq, f"the checkpoint at it is not good: {problem.message}"))
                return
        self.checkpoints += 1
        self._expected.setdefault(seq, {})[hash_] = checkpoint

    @property
    def head(self) -> Head:
        return self._checker.head or Head()

    @property
    def entries(self) -> int:
        return self._checker.entries

    @property
    def org_id(self) -> Any:
        return self._checker.org_id

    @property
    def last_checkpoint(self) -> Mapping[str, Any] | None:
        return next(iter(self._expected[max(self._expected)].values())) if self._expected else None

    def take(self, entry: Any) -> None:
        self.breaks += self._checker.take(entry)
        if isinstance(entry, Mapping) and isinstance(entry.get("seq"), int):
            self.breaks += self._against_checkpoints(entry)

    def _against_checkpoints(self, entry: Mapping[str, Any]) -> Iterator[Break]:
        for hash_, checkpoint in self._expected.get(entry["seq"], {}).items():
            if checkpoint.get("org_id") != entry.get("org_id"):
                yield Break("checkpoint_foreign", entry["seq"], "the checkpoint at it belongs to another organisation's chain")
            elif hash_ != entry.get("hash"):
                yield Break(
                    "rewritten",
                    entry["seq"],
                    f"its hash is another one than the checkpoint of {checkpoint.get('at')} says: the chain was made anew",
                )

    def end(self) -> None:
        """No more entries come."""
        last = self.head.seq
        beyond = [c for seq, said in sorted(self._expected.items()) if seq > last for c in said.values()]
        foreign = [c for c in beyond if self.entries and c.get("org_id") != self.org_id]
        self.breaks += [
            Break("checkpoint_foreign", c["seq"], "the checkpoint at it belongs to another organisation's chain") for c in foreign
        ]
        if own := [c for c in beyond if c not in foreign]:
            seq, at = own[-1]["seq"], own[-1].get("at")
            gone = f"entry {seq} is" if seq == last + 1 else f"entries {last + 1} to {seq} are"
            self.breaks.append(
                Break("truncated", last + 1, f"{gone} missing from the end: the checkpoint of {at} says that there were {seq}")
            )
