"""What all protocols have in common."""

from collections.abc import Iterator
from typing import Protocol as Interface
from typing import runtime_checkable

from mzsane.architectures import Architecture
from mzsane.evaluation.judging import Judge
from mzsane.evaluation.methods import Method
from mzsane.evaluation.streams import Stream
from mzsane.evaluation.subjects import Subjects
from mzsane.evaluation.table import Row
from mzsane.images import ImageSet


@runtime_checkable
class Protocol(Interface):
    """One way to hold models against images."""

    def suits(self, architecture: Architecture, images: ImageSet) -> bool:
        """Whether networks of this architecture can be asked this on these images."""

    def rows(
        self, method: Method, subjects: Subjects, images: ImageSet, judge: Judge, stream: Stream
    ) -> Iterator[Row]:
        """Rows of the results table, without the columns that are the same for all of them.

        Args:
            method: where the models come from.
            subjects: the models, as they were drawn.
            images: a set that suits.
            judge: of their architecture.
            stream: gives random streams by name.
        """
