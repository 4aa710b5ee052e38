"""Zoos: records of trained models, read from disk or built."""

from mzsane.zoos.building.builder import Builder
from mzsane.zoos.building.designs import Range
from mzsane.zoos.downloading.download import Download
from mzsane.zoos.downloading.repositories import DownloadRepository
from mzsane.zoos.downloading.serving import DownloadTrials
from mzsane.zoos.filters import Accuracy, Filter, First, Magnitude, Quantile, keep
from mzsane.zoos.reading.loading import load_weights
from mzsane.zoos.reading.trials import read_trials
from mzsane.zoos.reading.zoo import read_zoo
from mzsane.zoos.recognition import assumed, recognise, telling
from mzsane.zoos.records import ModelRecord, Skipped, held
from mzsane.zoos.splits import SPLITS, order, split_of

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
