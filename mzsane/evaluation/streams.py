"""Random streams by name: what one method draws does not depend on which others ran."""

from collections.abc import Callable
from hashlib import sha256

import numpy as np
import torch

Stream = Callable[[str], np.random.Generator]
"""The random stream of a method, by its name."""


def stream_of(seed: int, *names: str) -> np.random.Generator:
    """A generator that is a function of the seed and the names."""
    words = np.frombuffer(sha256("\0".join(names).encode()).digest(), dtype=np.uint32)
    return np.random.default_rng([seed, *words.tolist()])


def torch_generator(rng: np.random.Generator) -> torch.Generator:
    """A torch generator on the CPU, seeded with the next number of `rng`."""
    return torch.Generator().manual_seed(int(rng.integers(2**63)))
