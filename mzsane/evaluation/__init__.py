"""How good generated models are, and how new, next to the baselines a generator must beat."""

from mzsane.evaluation.baselines import weight_baselines
from mzsane.evaluation.columns import COLUMNS, TABLES, Column, write_columns
from mzsane.evaluation.comparisons import compare, holm
from mzsane.evaluation.distances import nearest, overlap
from mzsane.evaluation.frontier import area, frontiers, points_of, staircase
from mzsane.evaluation.ledger import Ledger, remove_blocks
from mzsane.evaluation.methods import Method
from mzsane.evaluation.novelty import Neighbourhood, Novelty
from mzsane.evaluation.protocols import Ensembles, Finetuned, Protocol, Refined, Transfer, ZeroShot
from mzsane.evaluation.selecting import OnValidation
from mzsane.evaluation.statistics import bootstrap_interval, final, summarise
from mzsane.evaluation.study import Study
from mzsane.evaluation.table import Row, read_rows, write_rows
from mzsane.evaluation.together import Together

__all__ = [
    "COLUMNS",
    "TABLES",
    "Column",
    "Ensembles",
    "Finetuned",
    "Ledger",
    "Method",
    "Neighbourhood",
    "Novelty",
    "OnValidation",
    "Protocol",
    "Refined",
    "Row",
    "Study",
    "Together",
    "Transfer",
    "ZeroShot",
    "area",
    "bootstrap_interval",
    "compare",
    "final",
    "frontiers",
    "holm",
    "nearest",
    "overlap",
    "points_of",
    "read_rows",
    "remove_blocks",
    "staircase",
    "summarise",
    "weight_baselines",
    "write_columns",
    "write_rows",
]
