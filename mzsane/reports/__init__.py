"""Tables and figures of what a run found."""

from mzsane.reports.curves import loss_curves
from mzsane.reports.evaluations import comparison_sheets, frontier_sheets
from mzsane.reports.finetuning import finetuning_curves
from mzsane.reports.latent_map import latent_map
from mzsane.reports.latent_page import latent_page
from mzsane.reports.layers import layer_bars
from mzsane.reports.measurements import (
    Job,
    of_frontiers,
    of_metrics,
    of_results,
    write_measurements,
)
from mzsane.reports.metrics import merge_metrics, read_metrics
from mzsane.reports.pages import Sheet, terminal_page, write_page
from mzsane.reports.probes import probe_sheets
from mzsane.reports.scatter import accuracy_novelty
from mzsane.reports.search import search_sheets
from mzsane.reports.summary import markdown_summary, terminal_summary, write_summary
from mzsane.reports.sweep import write_sweep
from mzsane.reports.tables import latest

__all__ = [
    "Job",
    "Sheet",
    "accuracy_novelty",
    "comparison_sheets",
    "finetuning_curves",
    "frontier_sheets",
    "latent_map",
    "latent_page",
    "latest",
    "layer_bars",
    "loss_curves",
    "markdown_summary",
    "merge_metrics",
    "of_frontiers",
    "of_metrics",
    "of_results",
    "probe_sheets",
    "read_metrics",
    "search_sheets",
    "terminal_page",
    "terminal_summary",
    "write_measurements",
    "write_page",
    "write_summary",
    "write_sweep",
]
