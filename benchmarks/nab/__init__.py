"""The Numenta Anomaly Benchmark, run over telemill's detectors."""
