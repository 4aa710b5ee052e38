"""Weight-space learning on inhomogeneous model zoos."""

__version__ = "0.1.0"
