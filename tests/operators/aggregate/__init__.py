"""Tests of the aggregates: one module each, with its oracle in pure Python."""
