"""Building zoos: populations of models that vary as asked."""
