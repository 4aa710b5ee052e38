"""Tables and figures of what a run found."""

from mzsane.reports.curves import loss_curves
from mzsane.reports.metrics import merge_metrics, read_metrics
from mzsane.reports.scatter import accuracy_novelty
from mzsane.reports.summary import markdown_summary, terminal_summary, write_summary
from mzsane.reports.tables import latest

__all__ = [
    "accuracy_novelty",
    "latest",
    "loss_curves",
    "markdown_summary",
    "merge_metrics",
    "read_metrics",
    "terminal_summary",
    "write_summary",
]
