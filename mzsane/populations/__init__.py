"""Populations: N models of one architecture, trained, evaluated and conditioned together."""

from mzsane.populations.conditioning import condition
from mzsane.populations.engines import Engine
from mzsane.populations.evaluating import Outcome, evaluate, log_probabilities, score
from mzsane.populations.finetuning import finetune
from mzsane.populations.heads import renew_head, with_classes
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
    "finetune",
    "fit",
    "initialise",
    "log_probabilities",
    "most_together",
    "renew_head",
    "score",
    "steps_an_epoch",
    "with_classes",
]
