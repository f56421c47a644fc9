"""Aggregates: what a window keeps of a column, one a file. A new one is a new file with a class of its name."""
