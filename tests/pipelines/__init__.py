"""Tests of the pipelines: what a user writes, and what is told of mistakes in it."""
