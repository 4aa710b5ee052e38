"""New models from anchors: their latents, densities over them, and the way back to weights."""

from mzsane.sampling.anchors import Anchors, choose_rows, encode_rows
from mzsane.sampling.generate import (
    generate,
    population_of,
    reconstruct,
    reconstruct_rows,
    shared,
    stored_models,
)
from mzsane.sampling.samplers import KDE, Gaussian, Interpolate, Sampler
from mzsane.sampling.windows import decode, encode

__all__ = [
    "KDE",
    "Anchors",
    "Gaussian",
    "Interpolate",
    "Sampler",
    "choose_rows",
    "decode",
    "encode",
    "encode_rows",
    "generate",
    "population_of",
    "reconstruct",
    "reconstruct_rows",
    "shared",
    "stored_models",
]
