"""Noise that is a function of names: seed, sample, element; not of what was drawn before.

A counter-based generator (Salmon et al. 2011, doi:10.1145/2063384.2063405): element `e` of sample
`k` is a hash of (seed, stream, k, e), computed on the device where it is needed. It does not matter
how samples are divided into batches, ranks or accumulation steps, and there is no state to save.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mzsane.data.batch import Batch

# SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195), as signed 64-bit integers
GOLDEN = 0x9E3779B97F4A7C15 - 2**64
FIRST, SECOND = 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64
NORMAL, ERASE = 1, 2  # streams: one seed gives each kind of noise its own numbers


def perturb(
    batch: Batch, seed: int, sigma: float, erase: float = 0.0
) -> Float[Tensor, "batch view window d_token"]:
    """The model's inputs: weights with multiplicative noise, ``t * (1 + sigma * n)``.

    The clean ``batch.values`` stay as they are, to be the target. Views get independent noise.

    Args:
        batch: its keys name the noise.
        seed: of the run.
        sigma: standard deviation of the noise relative to each weight, at least 0.
        erase: probability that an entry is set to zero, in [0, 1].
    """
    values = batch.values
    shape = values.shape[1:]
    if sigma > 0:
        values = values * (1 + sigma * counter_normal(seed, batch.key, shape).to(values.dtype))
    if erase > 0:
        values = values.masked_fill(counter_uniform(seed, batch.key, shape) < erase, 0.0)
    return values.masked_fill(~batch.mask[:, None], 0.0)


def counter_normal(
    seed: int, key: Int[Tensor, " batch"], shape: Sequence[int]
) -> Float[Tensor, "batch ..."]:
    """Standard normal numbers, float32, on the device of `key` (Box and Muller 1958).

    Args:
        seed: of the run; any integer.
        key: name of each sample; any integers.
        shape: of one sample.
    """
    numel = math.prod(shape)
    first, second = _uniforms(seed, NORMAL, key, -(-numel // 2))
    radius, angle = (-2 * first.log()).sqrt(), 2 * math.pi * second
    pairs = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=-1)
    return pairs.flatten(1)[:, :numel].reshape(len(key), *shape)


def counter_uniform(
    seed: int, key: Int[Tensor, " batch"], shape: Sequence[int]
) -> Float[Tensor, "batch ..."]:
    """Uniform numbers in (0, 1], float32, on the device of `key`; arguments as `counter_normal`."""
    numel = math.prod(shape)
    pairs = torch.stack(_uniforms(seed, ERASE, key, -(-numel // 2)), dim=-1)
    return pairs.flatten(1)[:, :numel].reshape(len(key), *shape)


def _uniforms(
    seed: int, stream: int, key: Int[Tensor, " batch"], count: int
) -> tuple[Float[Tensor, "batch count"], Float[Tensor, "batch count"]]:
    """Two numbers in (0, 1] from the two halves of each of `count` hashes a sample."""
    name = _mix(_mix(torch.tensor(_signed(seed), device=key.device)) + _signed(stream * GOLDEN))
    name = _mix(name + key.to(torch.int64) * GOLDEN)
    counter = torch.arange(1, count + 1, device=key.device) * GOLDEN
    bits = _mix(name[:, None] + counter)
    return _unit(_shift(bits, 32)), _unit(bits & 0xFFFFFFFF)


def _unit(bits: Int[Tensor, "batch count"]) -> Float[Tensor, "batch count"]:
    """From 32 bits to (0, 1]; never 0, whose logarithm is infinite."""
    return (bits.to(torch.float32) + 0.5) * 2.0**-32


def _mix(state: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """SplitMix64's finaliser, a bijection of 64-bit integers; products wrap around."""
    state = (state ^ _shift(state, 30)) * FIRST
    state = (state ^ _shift(state, 27)) * SECOND
    return state ^ _shift(state, 31)


def _shift(state: Int[Tensor, "*shape"], places: int) -> Int[Tensor, "*shape"]:
    """Right shift that fills in zeros; torch's own repeats the sign."""
    return (state >> places) & ((1 << (64 - places)) - 1)


def _signed(number: int) -> int:
    """The low 64 bits of an integer, read with a sign."""
    return (number + 2**63) % 2**64 - 2**63
