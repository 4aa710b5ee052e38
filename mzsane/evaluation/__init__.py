"""How good generated models are, and how new, next to the baselines a generator must beat."""

from mzsane.evaluation.statistics import bootstrap_interval, summarise
from mzsane.evaluation.table import Row, read_rows, write_rows

__all__ = ["Row", "bootstrap_interval", "read_rows", "summarise", "write_rows"]
