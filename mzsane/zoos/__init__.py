"""Zoos: records of trained models, read from disk or built."""

from mzsane.zoos.records import ModelRecord, Skipped
from mzsane.zoos.splits import SPLITS, order, split_of

__all__ = ["SPLITS", "ModelRecord", "Skipped", "order", "split_of"]
