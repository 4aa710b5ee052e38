"""Which hyper-parameters the models of a zoo are trained with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from math import exp, log
from typing import Any, Literal

import numpy as np

from mzsane.architectures import Architecture
from mzsane.populations import Recipe

Design = Literal["grid", "random"]
Values = dict[str, Any]

DRAWING = 6  # purpose of the random draw, see docs/design.md
GIVEN = ("channels_in", "image_size", "input_shape", "classes")  # by the images, not to be varied
OF_RECIPE = {field.name: field.type for field in fields(Recipe)}


@dataclass(frozen=True)
class Range:
    """Numbers that a random design draws from.

    Args:
        low: smallest.
        high: largest.
        scale: ``log`` draws the logarithm uniformly, ``linear`` the number itself.

    Raises:
        ValueError: if there is nothing between the ends, or no logarithm of them.
    """

    low: float
    high: float
    scale: Literal["log", "linear"] = "log"

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from."""
        if self.scale not in ("log", "linear"):
            raise ValueError(f"scale={self.scale}: choose one of log, linear")
        if not (0 < self.low < self.high if self.scale == "log" else self.low < self.high):
            raise ValueError(
                f"low={self.low}, high={self.high}: low must be less than high, and more than 0 "
                "for scale=log"
            )

    def at(self, share: float) -> float:
        """The number at a share in [0, 1) of the way from low to high."""
        if self.scale == "linear":
            return self.low + share * (self.high - self.low)
        return exp(log(self.low) + share * (log(self.high) - log(self.low)))


def factors(vary: Mapping[str, Any], architecture: Architecture, design: Design) -> Values:
    """What is to be varied, by name: lists of values and ranges.

    Args:
        vary: lists, or mappings of the arguments of `Range`; None leaves a name out, so that one
            list of names serves architectures that do not have all of them.
        architecture: whose arguments can be varied, besides those of the recipe.
        design: a grid has no ranges.

    Raises:
        ValueError: an unknown name, no values, or a range that cannot be used.
    """
    known = [*OF_RECIPE, *(key for key in architecture.settings if key not in GIVEN)]
    # sorted, so that the order in which settings are written down numbers no model
    named = sorted(key for key, given in vary.items() if given is not None)
    for key in named:
        if key not in known:
            raise ValueError(f"vary.{key}: there is no such setting; vary {', '.join(known)}")
    return {key: _factor(key, vary[key], design) for key in named}


def _factor(key: str, given: Any, design: Design) -> Sequence[Any] | Range:
    if isinstance(given, Mapping | Range):
        if design == "grid":
            raise ValueError(f"vary.{key}: a grid needs a list of values; or set design=random")
        if OF_RECIPE.get(key, float) is not float:
            raise ValueError(f"vary.{key}: give a list of values, it is no real number")
        try:
            return given if isinstance(given, Range) else Range(**given)
        except (TypeError, ValueError) as error:
            raise ValueError(f"vary.{key}: give low, high and perhaps scale ({error})") from error
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise ValueError(f"vary.{key}={given!r}: give a list of values, such as [{given!r}]")
    return list(given)


def grid(factors: Mapping[str, Sequence[Any]], repetitions: int) -> Iterator[tuple[Values, int]]:
    """Every combination, then every combination again, each with the number of the repetition.

    So models keep their places when there are to be more repetitions.
    """
    for repetition in range(repetitions):
        for values in product(*factors.values()):
            yield dict(zip(factors, values, strict=True)), repetition


def drawn(
    factors: Mapping[str, Sequence[Any] | Range], num_models: int, key: Sequence[int]
) -> Iterator[tuple[Values, int]]:
    """One independent draw of every factor a model, each with the number of the model.

    What is drawn for a model depends on the key, its number and the factor's name: not on how many
    models there are, nor on what else varies.
    """
    for model in range(num_models):
        yield {name: _draw(given, [*key, model], name) for name, given in factors.items()}, model


def _draw(given: Sequence[Any] | Range, key: Sequence[int], name: str) -> Any:
    named = int.from_bytes(name.encode(), "little")
    share = np.random.default_rng([DRAWING, named, *key]).random()
    return given.at(share) if isinstance(given, Range) else given[int(share * len(given))]


def applied(
    values: Mapping[str, Any], architecture: Architecture, recipe: Recipe
) -> tuple[Architecture, Recipe]:
    """The architecture and the recipe with these values.

    Raises:
        ValueError: if the recipe does not take one of them.
    """
    for_recipe = {key: value for key, value in values.items() if key in OF_RECIPE}
    for key, value in for_recipe.items():
        allowed = (int, float) if OF_RECIPE[key] is float else OF_RECIPE[key]
        if not isinstance(value, allowed) or isinstance(value, bool):
            raise ValueError(f"vary.{key}: {value!r} is no {OF_RECIPE[key].__name__}")
    rest = {key: value for key, value in values.items() if key not in OF_RECIPE}
    varied = replace(architecture, arguments={**architecture.arguments, **rest})
    return varied, replace(recipe, **for_recipe)
