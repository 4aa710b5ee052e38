"""Random numbers that are a function of names, not of what was drawn before.

A counter-based generator (Salmon et al. 2011, doi:10.1145/2063384.2063405): a number is a hash of
(seed, purpose, sample, element). It does not matter how samples are divided into batches, ranks or
accumulation steps, and there is no state to save. The same functions take arrays and tensors of
64-bit integers, whose products wrap around.
"""

from typing import TypeVar

import numpy as np
from jaxtyping import Float64, Int64
from torch import Tensor

Integers = TypeVar("Integers", np.ndarray, Tensor)

# SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195), as signed 64-bit integers
GOLDEN = 0x9E3779B97F4A7C15 - 2**64
FIRST, SECOND = 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64

# Purposes: one seed gives each its own numbers.
NORMAL, ERASE, SOURCE, PLACE, VALIDATION, CHOICE = range(1, 7)


def signed(number: int) -> int:
    """The low 64 bits of an integer, read with a sign."""
    return (number + 2**63) % 2**64 - 2**63


def named(state: Integers, *numbers: int | Integers) -> Integers:
    """One hash for all numbers in their order; arrays broadcast."""
    state = mixed(state)
    for number in numbers:
        step = signed(number * GOLDEN) if isinstance(number, int) else number * GOLDEN
        state = mixed(state + step)
    return state


def mixed(state: Integers) -> Integers:
    """SplitMix64's finaliser, a bijection of 64-bit integers."""
    state = (state ^ shifted(state, 30)) * FIRST
    state = (state ^ shifted(state, 27)) * SECOND
    return state ^ shifted(state, 31)


def shifted(state: Integers, places: int) -> Integers:
    """Right shift that fills in zeros; that of signed integers repeats the sign."""
    return (state >> places) & ((1 << (64 - places)) - 1)


def names_of(seed: int, purpose: int, keys: Int64[np.ndarray, " n"], number: int = 0) -> np.ndarray:
    """What samples draw from: a hash of each key and all that is said of it."""
    return named(np.array([signed(seed)]), purpose, keys, number)


def uniforms(names: Int64[np.ndarray, " n"], count: int) -> Float64[np.ndarray, "n {count}"]:
    """So many numbers in [0, 1) for each name."""
    return shifted(_bits(names, count), 11) * 2.0**-53


def permutations(names: Int64[np.ndarray, " n"], size: int) -> Int64[np.ndarray, "n {size}"]:
    """A uniform permutation for each name: the order of random numbers."""
    return np.argsort(_bits(names, size), axis=1)


def _bits(names: np.ndarray, count: int) -> np.ndarray:
    return mixed(names[:, None] + np.arange(1, count + 1) * GOLDEN)
