"""New models from anchors: their latents, densities over them, and the way back to weights."""

from mzsane.sampling.anchors import Anchors, choose_rows, encode_rows, encode_states
from mzsane.sampling.conditioning import Conditioning, conditioning_of, warn_if_idle
from mzsane.sampling.gaussian import Gaussian
from mzsane.sampling.generate import (
    Mended,
    are_finite,
    decode_models,
    generate,
    mend,
    population_of,
    reconstruct,
    reconstruct_rows,
    shared,
    stored_models,
)
from mzsane.sampling.interpolate import Interpolate
from mzsane.sampling.kde import KDE
from mzsane.sampling.latent_mixture import LatentMixture
from mzsane.sampling.refining import refine
from mzsane.sampling.sampler import Sampler
from mzsane.sampling.selecting import at_a_time, select
from mzsane.sampling.selection import Selected, Selection, keep_best
from mzsane.sampling.windows import Precision, decode, encode

__all__ = [
    "KDE",
    "Anchors",
    "Conditioning",
    "Gaussian",
    "Interpolate",
    "LatentMixture",
    "Mended",
    "Precision",
    "Sampler",
    "Selected",
    "Selection",
    "are_finite",
    "at_a_time",
    "choose_rows",
    "conditioning_of",
    "decode",
    "decode_models",
    "encode",
    "encode_rows",
    "encode_states",
    "generate",
    "keep_best",
    "mend",
    "population_of",
    "reconstruct",
    "reconstruct_rows",
    "refine",
    "select",
    "shared",
    "stored_models",
    "warn_if_idle",
]
