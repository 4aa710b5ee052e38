"""What all protocols have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from mzsane.architectures import Architecture
from mzsane.evaluation.judging import Judge, fits
from mzsane.evaluation.methods import Method
from mzsane.evaluation.streams import Stream
from mzsane.evaluation.subjects import Subjects
from mzsane.evaluation.table import Row
from mzsane.images import ImageSet


class Protocol(ABC):
    """One way to hold models against images."""

    def suits(self, architecture: Architecture, images: ImageSet) -> bool:
        """Whether networks of this architecture can be asked this on these images.

        By default, on those of the networks' shape and number of classes.
        """
        return fits(architecture, images)

    @abstractmethod
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
