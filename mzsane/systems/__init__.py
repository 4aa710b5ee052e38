"""LightningModules: what one step does."""

from mzsane.systems.behaviour import Answering, Networks
from mzsane.systems.pretraining import Pretraining

__all__ = ["Answering", "Networks", "Pretraining"]
