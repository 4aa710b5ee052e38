"""Downloading zoos: resumable, checked, by name."""
