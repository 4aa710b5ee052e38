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

EXAMPLE = "{hidden: [fc1.weight:0, fc1.bias:0, fc2.weight:1]}"


class _Part(NamedTuple):
    """A place whose block is not known yet."""

    place: Place
    extent: int


def check_given(groups: Any) -> None:
    """What can be checked before any tensor is known.

    Raises:
        ValueError: groups that are no lists of places, or a place that is not ``tensor:axis``.
    """
    if not isinstance(groups, Mapping):
        raise ValueError(f"symmetry: {groups!r} is no group by name with places, as in {EXAMPLE}")
    for name, given in groups.items():
        listed = given.get("places") if isinstance(given, Mapping) else given
        if isinstance(given, Mapping) and (unknown := given.keys() - {"size", "places"}):
            raise ValueError(
                f"symmetry group {name}: it has a size and places, no {min(map(str, unknown))!r}"
            )
        if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
            raise ValueError(f"symmetry group {name}: it has no list of places, as in {EXAMPLE}")
        for text in listed:
            if not SYNTAX.fullmatch(str(text)):
                raise ValueError(
                    f"symmetry group {name}: {text!r} is not tensor:axis, as in fc1.weight:0"
                )


def groups_of(
    groups: Mapping[str, Given], shapes: Mapping[str, Sequence[int]]
) -> tuple[Group, ...]:
    """See `Symmetry.of_places`."""
    check_given(groups)
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
    size = min(part.extent // part.place.outer for part in parts)
    if isinstance(given, Mapping):
        size = int(given.get("size", size))
    return Group(name, size, tuple(_filled(name, part, size) for part in parts))


def _part(name: str, text: str, shapes: Mapping[str, Sequence[int]]) -> _Part:
    match = SYNTAX.fullmatch(text)
    assert match is not None
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
