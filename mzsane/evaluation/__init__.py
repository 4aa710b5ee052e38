"""How good generated models are, and how new, next to the baselines a generator must beat."""

from mzsane.evaluation.baselines import Method, weight_baselines
from mzsane.evaluation.distances import nearest, overlap
from mzsane.evaluation.novelty import Neighbourhood, Novelty
from mzsane.evaluation.protocol import Study
from mzsane.evaluation.statistics import bootstrap_interval, summarise
from mzsane.evaluation.table import Row, read_rows, write_rows

__all__ = [
    "Method",
    "Neighbourhood",
    "Novelty",
    "Row",
    "Study",
    "bootstrap_interval",
    "nearest",
    "overlap",
    "read_rows",
    "summarise",
    "weight_baselines",
    "write_rows",
]
