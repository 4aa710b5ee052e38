"""Populations: N models of one architecture, trained, evaluated and conditioned together."""

from mzsane.populations.conditioning import condition
from mzsane.populations.engines import Engine
from mzsane.populations.evaluating import Outcome, evaluate, score
from mzsane.populations.joint import JointTraining, most_together
from mzsane.populations.population import Population, initialise
from mzsane.populations.recipes import Recipe, steps_an_epoch
from mzsane.populations.training import Training, fit

__all__ = [
    "Engine",
    "JointTraining",
    "Outcome",
    "Population",
    "Recipe",
    "Training",
    "condition",
    "evaluate",
    "fit",
    "initialise",
    "most_together",
    "score",
    "steps_an_epoch",
]
