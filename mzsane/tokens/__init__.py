"""From state dicts to sequences of tokens and back."""

from mzsane.tokens.halo import halo_own, halo_places, halo_starts, slice_halo, stitch_halo
from mzsane.tokens.layers import Layer, Piece
from mzsane.tokens.layout import Layout
from mzsane.tokens.places import KINDS, PLACE

__all__ = [
    "KINDS",
    "PLACE",
    "Layer",
    "Layout",
    "Piece",
    "halo_own",
    "halo_places",
    "halo_starts",
    "slice_halo",
    "stitch_halo",
]
