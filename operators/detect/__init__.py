"""Detectors: each adds to every row a `score` of how odd its value is for its device."""
