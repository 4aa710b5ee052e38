"""New models from anchors: their latents, densities over them, and the way back to weights."""

from mzsane.sampling.samplers import KDE, Gaussian, Interpolate, Sampler
from mzsane.sampling.windows import decode, encode

__all__ = ["KDE", "Gaussian", "Interpolate", "Sampler", "decode", "encode"]
