"""What happens around the steps of training."""

from mzsane.callbacks.finite import Finite
from mzsane.callbacks.last_checkpoint import LastCheckpoint
from mzsane.callbacks.sample_and_evaluate import SampleAndEvaluate
from mzsane.callbacks.throughput import Throughput

__all__ = ["Finite", "LastCheckpoint", "SampleAndEvaluate", "Throughput"]
