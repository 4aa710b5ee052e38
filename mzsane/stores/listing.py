"""What a zoo holds, before any weights are read, and how that compares with a store."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Literal, NamedTuple

from mzsane.stores.journal import Key
from mzsane.stores.piles import stamp_number
from mzsane.stores.reading import TokenStore
from mzsane.zoos import ModelRecord, Skipped

TWICE = "the zoo has this model and epoch twice; the first one is stored"


class Listing(NamedTuple):
    """The members of a zoo.

    Attributes:
        records: by model and epoch, each once.
        skipped: members without a record.
    """

    records: list[ModelRecord]
    skipped: list[Skipped]

    @classmethod
    def of(cls, members: Iterable[ModelRecord | Skipped]) -> "Listing":
        """Sort members; of two with the same model and epoch the first counts."""
        records: dict[Key, ModelRecord] = {}
        skipped = []
        for member in members:
            if isinstance(member, Skipped):
                skipped.append(member)
            elif (member.model, member.epoch) in records:
                skipped.append(Skipped(place_of(member), TWICE))
            else:
                records[member.model, member.epoch] = member
        return cls([records[key] for key in sorted(records)], skipped)

    @property
    def digest(self) -> str:
        """SHA-256 over models, epochs and stamps."""
        lines = (repr((record.model, record.epoch, record.stamp)) for record in self.records)
        return sha256("\n".join(lines).encode()).hexdigest()

    def without(self, store: TokenStore) -> "Listing":
        """What the store does not hold or has refused."""
        known = _known(store)
        missing = [each for each in self.records if (each.model, each.epoch) not in known]
        return Listing(missing, self.skipped)


def place_of(record: ModelRecord) -> str:
    """Where a checkpoint comes from, for people."""
    return record.provenance.get("file", f"{record.model} epoch {record.epoch}")


def compared(
    store: TokenStore, listing: Listing, epochs: Sequence[int] | None
) -> Literal["equal", "grown", "changed"]:
    """What happened to a zoo since it was stored.

    Args:
        store: what was made of it.
        listing: what it holds now.
        epochs: which were asked for; checkpoints of others may be in the store all the same.
    """
    known, listed = _known(store), {(r.model, r.epoch): r.stamp for r in listing.records}
    for key, stamp in known.items():
        if key not in listed and (epochs is None or key[1] in epochs):
            return "changed"
        if listed.get(key) and stamp and stamp != stamp_number(listed[key]):
            return "changed"
    return "grown" if listed.keys() - known.keys() else "equal"


def _known(store: TokenStore) -> dict[Key, int]:
    """Stamps of the checkpoints that a store holds or has refused."""
    held = {
        (str(model), int(epoch)): int(stamp)
        for shelf in store.architectures
        for model, epoch, stamp in zip(shelf.models, shelf.epochs, shelf.ledger.stamps, strict=True)
    }
    return held | {(one.model, one.epoch): stamp_number(one.stamp) for one in store.refused}
