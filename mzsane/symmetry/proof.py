"""Whether permutations leave a network's function as it was: found by running it in float64.

All groups are permuted at once, each by a uniform draw. The permutations that a network bears at
generic weights form a subgroup of all that the groups allow. If one group is false it is a proper
subgroup, which by Lagrange's theorem holds at most half of them, so `DRAWS` independent draws miss
it with a chance of at most ``2 ** -DRAWS``. (The bound is met by a group in which only odd
permutations do harm; one that tears channels apart fails at the first draw that moves it.)
"""

from collections.abc import Sequence

import numpy as np

from mzsane.symmetry.groups import Permutation, Symmetry
from mzsane.symmetry.influence import reaches, slopes
from mzsane.symmetry.places import Group
from mzsane.symmetry.witness import Witness

TOLERANCE = 1e-9  # relative to the largest output; rounding stays near 1e-14, a wrong group near 1
DRAWS = 20  # one false group in a million would pass, at worst


def refute(witness: Witness, groups: Sequence[Group]) -> dict[int, str]:
    """Why some of the groups are no symmetries of the network, by their positions.

    Moving a part of a true group has to change the outputs, or the proof would be blind to it.

    Args:
        witness: the network.
        groups: compatible ones, so that the order in which they act does not matter.

    Raises:
        ValueError: the network lacks a tensor of a group.
    """
    reasons: dict[int, str] = {}
    everything = Symmetry(tuple(groups))
    for draw in range(DRAWS):
        permutation = everything.random(np.random.default_rng([0, draw]))
        standing = [at for at in range(len(groups)) if at not in reasons]
        reasons |= _culprits(witness, groups, permutation, standing)
    gradients = slopes(witness)
    for at, group in enumerate(groups):
        if at not in reasons and not reaches(witness, gradients, group):
            reasons[at] = "its channels do not reach the outputs"
    return reasons


def _culprits(
    witness: Witness, groups: Sequence[Group], permutation: Permutation, among: Sequence[int]
) -> dict[int, str]:
    """Those of some groups that change the outputs under their part of a permutation.

    Where both halves leave the outputs as they are, so does their product: culprits are in a half
    that fails by itself.
    """
    if not among:
        return {}
    symmetry = Symmetry(tuple(groups[at] for at in among))
    change = witness.change(symmetry, tuple(permutation[at] for at in among))
    if change <= TOLERANCE:
        return {}
    if len(among) == 1:
        return {among[0]: f"permuting it changes the outputs by {change:.1e} of their size"}
    middle = len(among) // 2
    halves = among[:middle], among[middle:]
    return {
        at: reason
        for half in halves
        for at, reason in _culprits(witness, groups, permutation, half).items()
    }
