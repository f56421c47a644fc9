"""Tests of the record that says how odd a value is."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.detect.record import surprise
from tests.operators.detect.record import Record

rows_in_bins = st.lists(
    st.one_of(st.just(0.0), st.floats(0.01, 10), st.integers(1, 1000).map(float)), min_size=2, max_size=20
)


def found(record: Record, position: float) -> float:
    return float(surprise(np.array(record.rows, np.float32), record.weight, position))


def recorded(rows: list[float], inside: float = 0.0) -> Record:
    return Record([float(np.float32(row)) for row in rows], sum(rows) + inside)


@given(rows=rows_in_bins, inside=st.floats(1, 1e4), position=st.floats(0, 40))
def test_it_is_what_the_slow_one_says(rows: list[float], inside: float, position: float) -> None:
    record = recorded(rows, inside)
    assert found(record, position) == pytest.approx(record.surprise(position), abs=1e-5)


@given(rows=rows_in_bins, inside=st.floats(1, 1e4))
def test_further_out_is_never_less_odd(rows: list[float], inside: float) -> None:
    scores = [found(recorded(rows, inside), at / 8) for at in range(8 * 25)]
    assert all(before <= after + 1e-5 for before, after in pairwise(scores))


@pytest.mark.parametrize("slope", [0.1, 0.25, 0.5, 0.9])
def test_a_power_law_goes_on_as_it_was(slope: float) -> None:
    edges = [1e4 * 10 ** (-slope * at) for at in range(61)]
    record = recorded([one - other for one, other in pairwise(edges)], inside=edges[-1])
    for position in (0.5, 2.25, 40.0):
        assert found(record, position) == pytest.approx(slope * position, abs=0.02)
    # Of four decades the last isn't believed, so this one is extrapolated.
    assert found(Record(record.rows[:45], record.weight), 60.0) == pytest.approx(slope * 60, rel=0.05)


def test_a_tail_that_ends_within_a_bin_is_steep() -> None:
    record = recorded([900.0, 100.0, *([0.0] * 14)])
    assert found(record, 1.0) == pytest.approx(1, abs=0.01)
    assert found(record, 21.0) == pytest.approx(21, abs=0.01)


@pytest.mark.parametrize("position", [3.0, 3.9, 4.0, 40.0])
def test_what_lies_in_the_last_bin_or_beyond_is_as_odd_as_it_is_often(position: float) -> None:
    assert found(recorded([880.0, 0.0, 0.0, 20.0], inside=1100.0), position) == pytest.approx(2, abs=0.03)


def test_what_was_never_seen_is_as_odd_as_there_are_rows() -> None:
    assert found(recorded([0.0] * 4, inside=999.0), 2.0) == pytest.approx(3)
    assert math.isclose(found(Record.of(4), 2.0), 0.0)
