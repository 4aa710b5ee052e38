"""Zoos: records of trained models, read from disk or built."""

from mzsane.zoos.building import Builder
from mzsane.zoos.loading import load_weights
from mzsane.zoos.records import ModelRecord, Skipped, held
from mzsane.zoos.splits import SPLITS, order, split_of
from mzsane.zoos.trials import read_trials

__all__ = [
    "SPLITS",
    "Builder",
    "ModelRecord",
    "Skipped",
    "held",
    "load_weights",
    "order",
    "read_trials",
    "split_of",
]
