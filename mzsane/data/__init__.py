"""Windows of stored models in batches, drawn by a counter-based generator."""

from mzsane.data.batch import Batch
from mzsane.data.dataset import WindowDataset
from mzsane.data.gathering import Window
from mzsane.data.loader import Loader, check_batches
from mzsane.data.mixture import mixture
from mzsane.data.module import ZooData
from mzsane.data.noise import counter_choice, counter_normal, counter_uniform, perturb
from mzsane.data.validation import ValidationWindows
from mzsane.data.windows import WindowPlan

__all__ = [
    "Batch",
    "Loader",
    "ValidationWindows",
    "Window",
    "WindowDataset",
    "WindowPlan",
    "ZooData",
    "check_batches",
    "counter_choice",
    "counter_normal",
    "counter_uniform",
    "mixture",
    "perturb",
]
