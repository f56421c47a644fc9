"""Tests of the benchmark of scaling: the figures of processes that work together."""

from __future__ import annotations

import pytest

from benchmarks.throughput.scaling import together
from benchmarks.throughput.systems import SystemFailed


def sample(at: float, seen: float, cpu: float, rss: float = 100) -> dict[str, float]:
    return {"at": at, "seen": seen, "cpu_s": cpu, "peak_rss_mb": rss}


def test_processes_count_together_from_a_quarter_to_the_end() -> None:
    # s             0     1     2     3     4
    # first         0    10    20    40    40
    # second        0     0    10    20    60
    # together      0    10    30    60   100     steady from 30, at 2 s, to 100, at 4 s
    first = [sample(0, 0, 1), sample(1, 10, 2), sample(2, 20, 3), sample(3, 40, 4), sample(4, 40, 4)]
    second = [sample(0, 0, 1), sample(1, 0, 1), sample(2, 10, 2), sample(3, 20, 3), sample(4, 60, 5, 50)]
    got = together([first, second], 100)
    assert got["events_per_s"] == pytest.approx(70 / 2)
    assert got["cpu_ns_per_event"] == pytest.approx(((4 + 5) - (3 + 2)) / 70 * 1e9)
    assert got["peak_rss_mb"] == 150


def test_what_comes_after_the_end_does_not_count() -> None:
    got = together([[sample(0, 0, 0), sample(1, 30, 1), sample(2, 100, 2), sample(9, 100, 9)]], 100)
    assert got["events_per_s"] == 70


def test_messages_that_are_missing_are_told() -> None:
    with pytest.raises(SystemFailed, match="came to 99 messages of 100"):
        together([[sample(0, 0, 0), sample(1, 99, 1)]], 100)
