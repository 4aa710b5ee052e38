"""Many models of one architecture: initialise, train, condition, evaluate."""

from mzsane.populations.conditioning import condition
from mzsane.populations.evaluating import Outcome, evaluate
from mzsane.populations.population import Population, initialise
from mzsane.populations.training import Recipe, fit

__all__ = ["Outcome", "Population", "Recipe", "condition", "evaluate", "fit", "initialise"]
