"""Reading zoos: whatever the layout, one record a checkpoint."""
