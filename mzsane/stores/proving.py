"""The symmetry of every architecture of a zoo: traced, or given by hand and proven."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mzsane.stores.piles import Pile
from mzsane.symmetry import Symmetry, trace, verify
from mzsane.symmetry.given import Given

UNKNOWN = (
    "the zoo does not say how to build these models, and none of the field's networks has their "
    "tensors; give zoo.architecture, or groups by hand (zoo.symmetry)"
)


class Found(NamedTuple):
    """What is known of the symmetry of one architecture.

    Attributes:
        symmetry: None if the architecture is unknown or could not be traced.
        untraced: why so.
        by_hand: what became of groups given by hand, in words; empty if none were.
    """

    symmetry: Symmetry | None
    untraced: str = ""
    by_hand: str = ""


def symmetries_of(piles: Sequence[Pile], given: Mapping[str, Given] | None) -> list[Found]:
    """Trace architectures, or take groups given by hand wherever they fit.

    Architectures of an older store keep what it knows of them.

    Args:
        piles: one for each architecture.
        given: groups by hand, see `Symmetry.of_places`; None traces.

    Raises:
        ValueError: groups by hand fit no architecture, or change what a network computes.
    """
    found, misfits = [], []
    for pile in piles:
        if pile.shelf is not None:
            found.append(Found(pile.shelf.symmetry, pile.shelf.untraced, pile.shelf.by_hand))
            continue
        if not given:
            found.append(_traced(pile))
            continue
        try:
            symmetry = Symmetry.of_places(given, {n: shape for n, shape, _ in pile.layout.shapes})
        except ValueError as error:
            misfits.append(error)
            remark = f"{pile.name}: the groups given by hand do not fit ({error})"
            found.append(_traced(pile)._replace(by_hand=remark))
        else:
            found.append(Found(symmetry, by_hand=_proof(pile, symmetry)))
    if misfits and len(misfits) == len(piles):
        raise misfits[0]
    return found


def _traced(pile: Pile) -> Found:
    if pile.architecture is None:
        return Found(None, UNKNOWN)
    try:
        return Found(trace(*_network(pile)))
    except ValueError as error:
        return Found(None, f"{pile.name}: {error}")


def _proof(pile: Pile, symmetry: Symmetry) -> str:
    """What was proven of groups by hand, in words.

    Raises:
        ValueError: one of them changes what the network computes.
    """
    said = f"{pile.name}: {len(symmetry.groups)} groups given by hand"
    try:
        network, example = _network(pile)
        with torch.no_grad():
            network.eval()(example)
    except Exception as error:  # a user's network may raise whatever it likes
        return f"{said}, not proven: {error}"
    verify(network, example, symmetry)
    return f"{said}, proven on the network"


def _network(pile: Pile) -> tuple[nn.Module, Tensor]:
    """A network with the tensors of a pile, and inputs for it.

    Raises:
        ValueError: it cannot be built, or has other tensors.
    """
    if pile.architecture is None:
        raise ValueError("the zoo does not say how to build these models")
    try:
        network = pile.architecture.build(seed=0)
    except ValueError:
        raise
    except Exception as error:  # the constructor may be a user's
        raise ValueError(f"it cannot be built ({type(error).__name__}: {error})") from error
    if mismatch := _mismatch(network.state_dict(), pile):
        raise ValueError(mismatch)
    generator = torch.Generator().manual_seed(0)
    return network, torch.randn(2, *pile.architecture.input_shape, generator=generator)


def _mismatch(built: Mapping[str, Tensor], pile: Pile) -> str:
    """The first tensor in which a network differs from the models said to be of its kind."""
    expected = {name: tuple(tensor.shape) for name, tensor in built.items()}
    found = {name: shape for name, shape, _ in pile.layout.shapes}
    for name in [*expected, *found]:
        if expected.get(name) != found.get(name):
            return f"{name} is {found.get(name)} in the zoo, {expected.get(name)} in the network"
    return ""
