"""Groups written by hand, as plain values of a configuration file."""

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from mzsane.symmetry.places import Group, Place, compatible

Given = Sequence[str] | Mapping[str, Any]
"""Places, or a mapping with `size` and `places`."""

SYNTAX = re.compile(
    r"(?P<tensor>.+):(?P<axis>\d+)(\[(?P<start>\d+):(?P<stop>\d+)\])?(\*(?P<outer>\d+))?"
)


class _Part(NamedTuple):
    """A place whose block is not known yet."""

    place: Place
    extent: int


def groups_of(
    groups: Mapping[str, Given], shapes: Mapping[str, Sequence[int]]
) -> tuple[Group, ...]:
    """See `Symmetry.of_places`."""
    found = tuple(_group(name, given, shapes) for name, given in groups.items())
    acting = [(group, place) for group in found for place in group.places]
    for (one, place), (other, second) in combinations(acting, 2):
        if not compatible(place, one.size, second, other.size):
            raise ValueError(
                f"symmetry groups {one.name} and {other.name} overlap on axis {place.axis} of "
                f"{place.tensor}; give each its own part, as in {place.tensor}:{place.axis}[0:4]"
            )
    return found


def _group(name: str, given: Given, shapes: Mapping[str, Sequence[int]]) -> Group:
    listed = given["places"] if isinstance(given, Mapping) else given
    parts = [_part(name, text, shapes) for text in listed]
    if not parts:
        raise ValueError(f"symmetry group {name}: it has no places; list them as tensor:axis")
    size = min(part.extent // part.place.outer for part in parts)
    if isinstance(given, Mapping):
        size = int(given.get("size", size))
    return Group(name, size, tuple(_filled(name, part, size) for part in parts))


def _part(name: str, text: str, shapes: Mapping[str, Sequence[int]]) -> _Part:
    match = SYNTAX.fullmatch(text)
    if match is None:
        raise ValueError(f"symmetry group {name}: {text!r} is not tensor:axis, as in fc1.weight:0")
    tensor, axis = match["tensor"], int(match["axis"])
    if tensor not in shapes:
        raise ValueError(f"symmetry group {name}: the models have no tensor {tensor!r}")
    if axis >= len(shapes[tensor]):
        raise ValueError(
            f"symmetry group {name}: {tensor} of shape {tuple(shapes[tensor])} has no axis {axis}"
        )
    length = shapes[tensor][axis]
    start, stop = int(match["start"] or 0), int(match["stop"] or length)
    if not start < stop <= length:
        raise ValueError(f"symmetry group {name}: {text} is not within an axis of {length}")
    place = Place(tensor, axis, int(match["outer"] or 1), 1, start, length if stop < length else 0)
    return _Part(place, stop - start)


def _filled(name: str, part: _Part, size: int) -> Place:
    place, unit = part.place, part.place.outer * size
    if size < 1 or part.extent % unit or part.extent < unit:
        raise ValueError(
            f"symmetry group {name}: axis {place.axis} of {place.tensor} has {part.extent} "
            f"entries, which is no multiple of {place.outer} x {size} channels"
        )
    return place._replace(block=part.extent // unit)
