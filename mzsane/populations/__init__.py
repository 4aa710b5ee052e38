"""Populations: N models of one architecture, trained, evaluated and conditioned together."""

from mzsane.populations.population import Population, initialise

__all__ = ["Population", "initialise"]
