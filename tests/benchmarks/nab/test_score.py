"""Tests of NAB's rules: against brute force, and at their limits."""

from __future__ import annotations

import doctest
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.nab import score
from benchmarks.nab.score import PROFILES, Labels, Profile, Sweep, cross

STANDARD = PROFILES["standard"]


class Case(NamedTuple):
    """A series with its scores."""

    scores: list[float]
    windows: list[tuple[int, int]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rows = draw(st.integers(1, 40))
    edges = sorted(draw(st.sets(st.integers(0, rows - 1), max_size=6)))
    windows = list(zip(edges[::2], edges[1::2], strict=False))
    values = st.one_of(st.sampled_from([0.0, 1.0, 2.0, -0.0, math.nan]), st.floats())
    return Case(draw(st.lists(values, min_size=rows, max_size=rows)), windows)


def sigmoid(position: float) -> float:
    return 2 / (1 + math.exp(5 * position)) - 1


def slowly(series: Sequence[Case], threshold: float, profile: Profile) -> float:
    """Score one threshold, window by window and detection by detection."""
    total = 0.0
    for scores, windows in series:
        begin = min(math.floor(0.15 * len(scores)), 750)
        detections = [row for row in range(begin, len(scores)) if scores[row] >= threshold]
        for first, last in windows:
            inside = [row for row in detections if first <= row <= last]
            if inside:
                width = last - first + 1
                total += profile.found * sigmoid(-(last + 1 - inside[0]) / width) / sigmoid(-1)
            elif last >= begin:
                total -= profile.missed
        for row in detections:
            if any(first <= row <= last for first, last in windows):
                continue
            before = [(first, last) for first, last in windows if last < row]
            position = (row - before[-1][1]) / (before[-1][1] - before[-1][0]) if before else math.inf
            total += profile.wrong * (sigmoid(position) if position <= 3 else -1)
    return total


def swept(series: Sequence[Case]) -> Sweep:
    return Sweep.of((np.array(scores), Labels.of(len(scores), windows)) for scores, windows in series)


@given(st.lists(cases(), min_size=1, max_size=4), st.sampled_from(list(PROFILES)), st.floats(allow_nan=False))
def test_every_threshold_scores_as_from_scratch(series: list[Case], name: str, between: float) -> None:
    profile = PROFILES[name]
    sweep = swept(series)
    known = {score for scores, _ in series for score in scores if score < math.inf}
    for threshold in [*known, between]:
        if threshold < math.inf:
            found = sweep.raw(profile)[sweep.at(threshold)]
            assert found == pytest.approx(slowly(series, threshold, profile), abs=1e-9), threshold
    # No threshold is better than the one that is chosen.
    best = sweep.best(profile)
    most = max([slowly(series, each, profile) for each in known], default=-math.inf)
    assert sweep.raw(profile)[sweep.at(best)] >= most - 1e-9
    assert sweep.raw(profile)[0] == -profile.missed * sweep.open


@given(cases(), st.sampled_from(list(PROFILES)))
def test_only_the_order_of_scores_matters(case: Case, name: str) -> None:
    finite = [score for score in case.scores if math.isfinite(score)]
    ranks = {score: float(rank) for rank, score in enumerate(sorted(set(finite)))}
    one = Case([score if math.isfinite(score) else math.nan for score in case.scores], case.windows)
    other = Case([ranks.get(score, math.nan) for score in case.scores], case.windows)
    np.testing.assert_array_equal(swept([one]).raw(PROFILES[name]), swept([other]).raw(PROFILES[name]))


@given(cases(), st.integers(0, 2**32))
def test_the_order_of_series_makes_no_difference(case: Case, seed: int) -> None:
    random = np.random.default_rng(seed)
    noise = [Case(random.integers(0, 9, 30).astype(float).tolist(), [(10, 15)]) for _ in range(3)]
    one, other = swept([case, *noise]), swept([*noise[::-1], case])
    assert one.raw(STANDARD) == pytest.approx(other.raw(STANDARD), abs=1e-9)


def test_the_first_row_of_every_window_and_nothing_else_is_100() -> None:
    scores = [0.0] * 100
    windows = [(30, 39), (60, 79), (99, 99)]
    for first, _ in windows:
        scores[first] = 1.0
    for profile in PROFILES.values():
        assert swept([Case(scores, windows)]).score(1.0, profile) == pytest.approx(100)


@pytest.mark.parametrize("profile", PROFILES.values())
def test_a_detection_is_worth_what_nabs_paper_says(profile: Profile) -> None:
    #  rows     0 ... 49 | 50 ... 59 | 60 ...
    #  window             |   width 10 |
    def worth(row: int) -> float:
        scores = [0.0] * 200
        scores[row] = 1.0
        sweep = swept([Case(scores, [(50, 59)])])
        return float(sweep.raw(profile)[1] - sweep.raw(profile)[0])

    assert worth(50) == pytest.approx(profile.found + profile.missed)
    assert worth(55) == pytest.approx(profile.found * 0.84828 / 0.98661 + profile.missed, abs=1e-4)
    assert worth(59) == pytest.approx(profile.found * 0.24492 / 0.98661 + profile.missed, abs=1e-4)
    assert worth(49) == pytest.approx(-profile.wrong)
    assert worth(68) == pytest.approx(-0.98661 * profile.wrong, abs=1e-4)
    # Three widths behind it, of nine steps each, all that is left of the curve is cut off.
    assert Labels.of(200, [(50, 59)]).worth[86:88].tolist() == [pytest.approx(-0.99999939, abs=1e-8), -1]
    # Before the window as far from any as behind it.
    assert worth(30) == pytest.approx(worth(199))


def test_behind_a_window_of_one_row_all_is_as_wrong_as_anywhere() -> None:
    assert Labels.of(5, [(2, 2)]).worth.tolist() == [-1, -1, pytest.approx(1), -1, -1]


def test_later_detections_of_a_window_change_nothing_and_earlier_ones_do() -> None:
    #  scores    0 3 1 2 0     at threshold 3: the second row; at 2 as well; at 0 the first one too
    sweep = swept([Case([0.0] * 20 + [0.0, 3.0, 1.0, 2.0, 0.0] + [-1.0] * 20, [(20, 24)])])
    raw = dict(zip(sweep.thresholds.tolist(), sweep.worth.tolist(), strict=True))
    assert raw[math.inf] == 0
    assert 0 < raw[3.0] == raw[2.0] == raw[1.0] < raw[0.0]
    assert sweep.found.tolist() == [0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("rows", "scored"), [(0, 0), (6, 0), (7, 1), (100, 15), (4999, 749), (5000, 750), (22695, 750)]
)
def test_the_first_rows_of_a_series_are_not_scored(rows: int, scored: int) -> None:
    assert Labels.of(rows, []).scored == scored
    if rows:
        at_first = [float(row < scored) for row in range(rows)]
        assert swept([Case(at_first, [])]).wrong[-1] == rows - scored
        assert len(swept([Case(at_first, [])]).thresholds) == 2


def test_a_window_before_what_is_scored_cant_be_found_and_counts_in_the_100() -> None:
    case = Case([1.0] * 15 + [0.0] * 84 + [1.0], [(2, 14), (99, 99)])
    sweep = swept([case])
    assert (sweep.windows, sweep.open, sweep.found.tolist()) == (2, 1, [0, 1, 1])
    assert sweep.score(math.inf, STANDARD) == 0
    assert sweep.score(1.0, STANDARD) == pytest.approx(100 * 2 / 3)


def test_a_window_that_begins_before_what_is_scored_can_be_found_in_the_rest() -> None:
    sweep = swept([Case([1.0] * 15 + [0.0, 0.5] + [0.0] * 83, [(10, 19)])])
    assert sweep.thresholds.tolist() == [math.inf, 0.5, 0.0]
    assert sweep.worth.tolist() == pytest.approx([0, *(sigmoid(each) / sigmoid(-1) for each in (-0.4, -0.5))])


def test_without_windows_there_are_only_wrong_detections_and_no_scale() -> None:
    sweep = swept([Case([0.0] * 30 + [2.0, 1.0], [])])
    assert sweep.best(STANDARD) == math.inf
    assert sweep.raw(STANDARD).tolist() == pytest.approx([0, -0.11, -0.22, -0.11 * 28])
    assert math.isnan(sweep.score(1.0, STANDARD))


@pytest.mark.parametrize("missing", [[math.nan] * 40, []])
def test_where_all_scores_are_missing_nothing_is_detected(missing: list[float]) -> None:
    case = Case(missing, [(10, 20)] if missing else [])
    sweep = swept([case, Case([0.0] * 40, [(10, 20)])])
    assert sweep.thresholds.tolist() == [math.inf, 0]
    assert sweep.found.tolist() == [0, 1]


def test_an_infinite_score_is_a_detection_above_all_others() -> None:
    scores = [0.0] * 20 + [math.inf, 1e300, 1.0] + [-math.inf] * 20
    sweep = swept([Case(scores, [(20, 22)])])
    assert sweep.found[0] == 0
    assert sweep.best(STANDARD) == np.finfo(float).max
    assert sweep.score(sweep.best(STANDARD), STANDARD) == pytest.approx(100)


def test_the_examples_of_the_rules_are_right() -> None:
    assert doctest.testmod(score) == (0, 4)


def test_scores_that_arent_one_a_row_are_refused() -> None:
    with pytest.raises(ValueError, match="3 scores for a series of 4 rows"):
        Sweep.of([(np.zeros(3), Labels.of(4, []))])


@given(st.lists(cases(), min_size=1, max_size=3), st.lists(cases(), min_size=1, max_size=3))
def test_each_half_is_scored_at_the_threshold_of_the_other(one: list[Case], other: list[Case]) -> None:
    first, second = swept(one), swept(other)
    at_first, at_second = second.best(STANDARD), first.best(STANDARD)
    raw = first.raw(STANDARD)[first.at(at_first)] + second.raw(STANDARD)[second.at(at_second)]
    both, windows = first.open + second.open, first.windows + second.windows
    found = cross(first, second, STANDARD)
    if windows:
        assert found == pytest.approx(100 * (raw + both) / (windows + both))
    else:
        assert math.isnan(found)


def test_halves_count_by_their_windows() -> None:
    # The first half chooses 2, at which it finds its window and the other finds nothing; the other chooses 1.
    first = Case([0.0] * 20 + [2.0] + [0.0] * 19, [(20, 25)])
    second = Case([0.0] * 20 + [1.0] + [0.0] * 9 + [1.0] + [0.0] * 9, [(20, 25), (30, 35)])
    assert cross(swept([first]), swept([second]), STANDARD) == pytest.approx(100 / 3)
