"""Tests of the latency benchmark: its schedule and its percentiles."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.latency import WARM, Schedule, histogram, percentiles


@pytest.mark.parametrize(("rate", "devices"), [(1_000, 50), (20_000, 2_000), (123_457, 300)])
def test_readings_are_due_at_the_rate_and_spikes_come_once_the_device_is_known(rate: int, devices: int) -> None:
    schedule = Schedule(rate, devices, WARM * devices + rate * 4, begin=1_700_000_000_000_000)
    made = schedule.readings(seed=1)
    assert made.ts[0] == schedule.begin
    assert made.ts[rate] - made.ts[0] == 1_000_000
    assert (np.diff(made.ts) >= 0).all()
    spikes = np.flatnonzero(made.spike)
    assert spikes.min() >= WARM * devices
    assert 4 * 200 < len(spikes) <= 4 * 501
    for device in np.unique(made.device[spikes])[:20]:
        own = np.flatnonzero(made.device == device)
        assert not (made.spike[own][1:] & made.spike[own][:-1]).any()


def test_percentiles_are_of_all_latencies() -> None:
    got = percentiles(np.arange(1001, dtype=np.float64))
    assert got == pytest.approx({"p50": 500, "p99": 990, "p99_9": 999, "max": 1000})
    assert np.isnan(percentiles(np.empty(0))["p50"])


def test_a_histogram_counts_each_latency_once() -> None:
    found = histogram(np.array([0.05, 0.1, 1.0, 1.0, 250.0]))
    assert sum(count for _, count in found) == 5
    assert found[0] == (0.1, 2)
    for end, _ in found[1:]:
        assert min(abs(end / 1.25 - value) for value in (1.0, 250.0)) < end
