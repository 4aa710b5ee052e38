"""LightningModules and schedules: what one step does, and how far."""

from mzsane.systems.behaviour import Answering, Networks
from mzsane.systems.pretraining import Pretraining
from mzsane.systems.schedules import constant, cosine, warmup_stable_decay
from mzsane.systems.sharding import FullySharded

__all__ = [
    "Answering",
    "FullySharded",
    "Networks",
    "Pretraining",
    "constant",
    "cosine",
    "warmup_stable_decay",
]
