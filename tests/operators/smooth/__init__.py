"""Tests of the smoothers."""
