"""Populations: N models of one architecture, trained, evaluated and conditioned together."""

from mzsane.populations.conditioning import condition
from mzsane.populations.engines import Engine
from mzsane.populations.evaluating import Outcome, evaluate, score
from mzsane.populations.population import Population, initialise
from mzsane.populations.processes import one_thread, running
from mzsane.populations.training import Recipe, fit

__all__ = [
    "Engine",
    "Outcome",
    "Population",
    "Recipe",
    "condition",
    "evaluate",
    "fit",
    "initialise",
    "one_thread",
    "running",
    "score",
]
