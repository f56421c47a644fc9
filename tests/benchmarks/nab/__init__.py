"""Tests of the Numenta Anomaly Benchmark over telemill's detectors."""
