"""One architecture of a study: every method by every protocol, block by block."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from mzsane.evaluation.columns import COLUMNS
from mzsane.evaluation.judging import Judge, fits
from mzsane.evaluation.ledger import Key, Ledger
from mzsane.evaluation.methods import Method
from mzsane.evaluation.novelty import Neighbourhood
from mzsane.evaluation.protocols import Protocol
from mzsane.evaluation.subjects import Subjects
from mzsane.evaluation.table import Row
from mzsane.evaluation.workshop import Workshop
from mzsane.images import ImageSet


class Block(NamedTuple):
    """What one protocol finds of one method; blocks of a table are in the order of the numbers."""

    method: int
    protocol: int
    rows: list[Row]


@dataclass(frozen=True, eq=False)
class Bench:
    """What is done with the models of one architecture; made when first needed.

    Attributes:
        shop: where its methods draw.
        protocols: by name.
        names: of the methods that take part; None is all.
        images: sets, some of which suit some protocol.
    """

    shop: Workshop
    protocols: Mapping[str, Protocol]
    names: Sequence[str] | None
    images: Sequence[ImageSet]

    @cached_property
    def methods(self) -> list[Method]:
        """Those that take part.

        Raises:
            ValueError: a name that no method has.
        """
        return _chosen(list(self.shop.methods()), self.names)

    @cached_property
    def judge(self) -> Judge:
        """Of this architecture."""
        case = self.shop.case
        near = Neighbourhood.of(case.shelf, case.train)
        return Judge(near, self.shop.workers, self.shop.device, self.shop.conditioning)

    def blocks(self, number: int, method: Method, step: int, ledger: Ledger) -> Iterator[Block]:
        """What each protocol finds of a method, or has found before an interruption."""
        shelf = self.shop.case.shelf
        drawn: dict[str, Subjects] = {}
        for place, name in enumerate(self.protocols):
            key: Key = (shelf.source, shelf.architecture.fingerprint, method.name, name)
            rows = ledger.get(key)
            if rows is None:
                about = self._about(method, name, step)
                found = self._rows(method, self.protocols[name], drawn)
                rows = [_ordered(about | row) for row in found]
                ledger.add(key, rows)
            yield Block(number, place, rows)

    def _rows(
        self, method: Method, protocol: Protocol, drawn: dict[str, Subjects]
    ) -> Iterator[Row]:
        """Of one protocol; models that have been drawn are kept for the next."""
        architecture, stream = self.shop.case.shelf.architecture, self.shop.stream
        for images in self.images:
            # validation images of other classes cannot select
            able = not method.selects or fits(architecture, images)
            if not able or not protocol.suits(architecture, images):
                continue
            which = images.name if method.selects else ""
            if which not in drawn:
                drawn[which] = self.judge.subjects(method, method.models(images))
            yield from protocol.rows(method, drawn[which], images, self.judge, stream)

    def _about(self, method: Method, protocol: str, step: int) -> Row:
        """What all rows of a block have in common."""
        shop, shelf = self.shop, self.shop.case.shelf
        return {
            "source": shelf.source,
            "architecture": shelf.architecture.name,
            "method": method.name,
            "family": method.family or method.name,
            "kind": method.kind,
            "protocol": protocol,
            "anchors": min(shop.amounts.anchors, len(shop.case.train)),
            "seed": shop.seed,
            "step": step,
        }


def _chosen(methods: list[Method], names: Sequence[str] | None) -> list[Method]:
    """The methods of these names.

    Raises:
        ValueError: a name that no method has.
    """
    if names is None:
        return methods
    known = [method.name for method in methods]
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(
            f"evaluation.methods: there is no {unknown[0]!r}; choose among {', '.join(known)}"
        )
    return [method for method in methods if method.name in names]


def _ordered(row: Row) -> Row:
    """In the order of the table."""
    return {name: row[name] for name in COLUMNS}
