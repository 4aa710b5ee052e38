"""LightningModules: what one step does."""

from mzsane.systems.pretraining import Pretraining

__all__ = ["Pretraining"]
