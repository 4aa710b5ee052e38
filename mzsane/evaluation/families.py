"""Samplers that differ in one strength only."""

from collections.abc import Mapping
from typing import NamedTuple

from mzsane.sampling import KDE, Sampler, Selection


class Member(NamedTuple):
    """A sampler, the name of its method, and that of the family that shares a frontier."""

    name: str
    family: str
    sampler: Sampler | Selection


def expanded(samplers: Mapping[str, Sampler | Selection]) -> list[Member]:
    """Every sampler; of a `KDE` with several bandwidths one for each, ``<name>_<bandwidth>``."""
    members = []
    for name, sampler in samplers.items():
        if isinstance(sampler, KDE) and len(sampler.each) > 1:
            members += [Member(_called(name, b), name, one) for b, one in sampler.each.items()]
        else:
            members.append(Member(name, name, sampler))
    return members


def _called(name: str, bandwidth: float | str) -> str:
    return f"{name}_{bandwidth}" if isinstance(bandwidth, str) else f"{name}_{bandwidth:g}"
