"""Tests mirror the source: `operators/window/tumbling.py` is tested in `tests/operators/window/test_tumbling.py`."""
