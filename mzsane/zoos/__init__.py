"""Zoos: records of trained models, read from disk or built."""

from mzsane.zoos.building import Builder
from mzsane.zoos.designs import Range
from mzsane.zoos.downloading import Download
from mzsane.zoos.filters import Accuracy, Filter, First, Magnitude, Quantile, keep
from mzsane.zoos.loading import load_weights
from mzsane.zoos.reading import read_zoo
from mzsane.zoos.recognition import assumed, recognise, telling
from mzsane.zoos.records import ModelRecord, Skipped, held
from mzsane.zoos.repositories import DownloadRepository
from mzsane.zoos.serving import DownloadTrials
from mzsane.zoos.splits import SPLITS, order, split_of
from mzsane.zoos.trials import read_trials

__all__ = [
    "SPLITS",
    "Accuracy",
    "Builder",
    "Download",
    "DownloadRepository",
    "DownloadTrials",
    "Filter",
    "First",
    "Magnitude",
    "ModelRecord",
    "Quantile",
    "Range",
    "Skipped",
    "assumed",
    "held",
    "keep",
    "load_weights",
    "order",
    "read_trials",
    "read_zoo",
    "recognise",
    "split_of",
    "telling",
]
