"""Models as they are."""

from collections.abc import Iterator
from dataclasses import dataclass

from mzsane.evaluation.judging import Judge
from mzsane.evaluation.methods import Method
from mzsane.evaluation.protocols.protocol import Protocol
from mzsane.evaluation.streams import Stream
from mzsane.evaluation.subjects import Subjects
from mzsane.evaluation.table import Row
from mzsane.images import ImageSet


@dataclass(frozen=True)
class ZeroShot(Protocol):
    """No training: running statistics are made as the judge makes them, test images reported."""

    def rows(
        self, method: Method, subjects: Subjects, images: ImageSet, judge: Judge, stream: Stream
    ) -> Iterator[Row]:
        """One row a model."""
        ready = judge.ready(method, subjects.population, images)
        for row in judge.rows(subjects, ready, images):
            yield row | {"epochs": 0.0, "members": 1}
