"""Tests of the operators: each against an oracle in pure Python, and all against the same contracts."""
