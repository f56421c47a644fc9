"""Tests of the aggregate `percentile`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from operators.aggregate import percentile
from operators.base import SpecError
from operators.batch import Batch, Schema, Type
from operators.window.hopping import Hopping
from operators.window.tumbling import Tumbling
from tests.operators.aggregate.pool import Pool
from tests.operators.aggregate.window import aggregated
from tests.operators.rows import MINUTE, SECOND, Row, Runner, clocked, cut, run

INF = float("inf")
FEW = 64
SHARES = (0, 0.1, 1, 25, 50, 75, 90, 99, 99.9, 100)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Between:
    """What a percentile may be: at `part` of the way from one value to the next, each at most so much off.

    Attributes:
        lower: the value at the rank below.
        upper: the value at the rank above.
        part: how far it is from the one to the other.
        off: how much each of the two may be off, of itself.
    """

    lower: float
    upper: float
    part: float
    off: float

    def __eq__(self, other: object) -> bool:
        """Whether the other lies in the bound; half a subnormal more is what no float can do better."""
        if not isinstance(other, float):
            return NotImplemented
        if math.isinf(self.lower + self.upper) and (math.isinf(self.lower) or math.isinf(self.upper)):
            return other == (self.lower + self.upper if self.part else self.lower)
        if not math.isfinite(other):
            return False
        part = Fraction(self.part)
        lower, upper = (1 - part) * Fraction(self.lower), part * Fraction(self.upper)
        slack = Fraction(self.off) * (abs(lower) + abs(upper)) + Fraction(5e-324)
        slack += Fraction(1e-14) * abs(Fraction(self.upper) - Fraction(self.lower))  # for `part`, which is rounded
        return abs(Fraction(other) - lower - upper) <= slack

    __hash__ = None  # type: ignore[assignment]  # near isn't an equivalence


def oracle(values: Sequence[tuple[int, Any]], _type: Type, number: float = 50) -> Any:
    """Sort the values and interpolate between the two around the rank."""
    if not values:
        return None
    ordered = sorted(float(value) for _, value in values)
    rank = Fraction(str(number)) * (len(ordered) - 1) / 100
    below = int(rank)
    lower, upper = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    if (lower, upper) == (-INF, INF) and rank > below:
        return None
    return Between(lower, upper, float(rank - below), 1e-15 if len(ordered) <= FEW else 0.01)


@pytest.mark.parametrize("number", [0.1, 2.2, 4.4, 4.6, 5, 7, 28, 35, 55, 70, 99, 99.9])
def test_a_rank_that_is_a_whole_number_gives_the_value_that_stands_there(number: float) -> None:
    for count in range(2, 3_000):
        rank = Fraction(str(number)) * (count - 1) / 100
        if rank.denominator == 1:
            values = [20.0] * (int(rank) + 1) + [INF] * (count - 1 - int(rank))
            (result,) = Pool(f"percentile(x, {number})").put(0, values).results(f"percentile(x, {number})", 0)
            assert result == pytest.approx(20, rel=0.01), count


@pytest.mark.parametrize("taken", range(150, 206, 5))
def test_panes_are_put_together_where_pages_are_about_to_run_out(taken: int) -> None:
    # 256 pages at first: `taken` panes have one each, and two of 50 values spread over dozens of pages when put together.
    wide = np.exp(np.linspace(-300, 300, 100))
    pool = Pool("p50(x)").put(np.arange(3, 3 + min(taken, 60)), np.ones(min(taken, 60)))
    pool.panes.reserve(1, 256)
    pool.panes.free_count = 0
    pool.put(np.arange(63, 63 + max(taken - 60, 0)), np.ones(max(taken - 60, 0)))
    pool.put(0, wide[::2]).put(1, wide[1::2]).put(2, wide)
    pool.merge(0, [1])
    assert pool.results("p50(x)", 0) == pool.results("p50(x)", 2)
    assert pool.results("p50(x)", 0)[0] == expected(wide, 50)


def expected(values: Any, number: float) -> Any:
    return oracle([(0, value) for value in np.asarray(values).tolist()], Type.FLOAT, number)


def calls() -> list[str]:
    return [f"percentile(x, {number})" for number in SHARES]


def check(pool: Pool, pane: int, values: Any) -> None:
    """See that the percentiles of a pane are as good as they say."""
    for number in SHARES:
        (got,) = pool.results(f"percentile(x, {number})", pane)
        assert got == expected(values, number), f"the {number} % of {len(values)} values"


# What it is.


def test_between_two_ranks_it_is_interpolated() -> None:
    assert aggregated("percentile(x, 50)", Type.FLOAT, [4.0, 1.0, None, 3.0, 2.0]) == 2.5
    assert aggregated("percentile(x, 25)", Type.FLOAT, [10.0, 20.0, 30.0, 40.0, 50.0]) == 20
    assert aggregated("percentile(x, 90)", Type.INT, [0, 10]) == 9
    assert aggregated("percentile(x, 75)", Type.BOOL, [True, False, False, True]) == 1


@pytest.mark.parametrize("type_", [Type.FLOAT, Type.INT, Type.BOOL])
def test_of_nothing_it_is_missing(type_: Type) -> None:
    assert aggregated("p95(x)", type_, [None, None]) is None


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=FEW), st.floats(0, 100))
def test_a_few_values_give_what_numpy_gives(values: list[float], number: float) -> None:
    # numpy.percentile, of its default method "linear".
    (got,) = Pool(call := f"percentile(x, {number:.6f})").put(0, values).results(call, 0)
    want = float(np.percentile(values, float(f"{number:.6f}")))
    assert got == pytest.approx(want, rel=1e-12, abs=1e-15 * max(map(abs, values)))


def test_the_short_form_has_a_point_where_it_is_written_with_an_underscore() -> None:
    values = [float(value) for value in range(60)]
    for short, long in {"p95": 95, "p99_9": 99.9, "p0": 0, "p50": 50, "p2_5": 2.5, "p100": 100}.items():
        got = aggregated(f"{short}(x)", Type.FLOAT, values)
        assert got == aggregated(f"percentile(x, {long})", Type.FLOAT, values) == expected(values, long)


@pytest.mark.parametrize("call", ["percentile(x, 101)", "percentile(x, -1)", "p101(x)", "p100_1(x)", "percentile(x)"])
def test_what_isnt_a_percentage_is_refused(call: str) -> None:
    with pytest.raises(SpecError) as caught:
        aggregated(call, Type.FLOAT, [1.0])
    (problem,) = caught.value.problems
    assert "a percentage from 0 to 100" in problem.expected


# How exact it is.


@given(st.floats(allow_nan=False))
def test_the_value_that_stands_for_a_bin_is_at_most_one_percent_off(value: float) -> None:
    number = percentile._bin(np.float64(value + 0.0).view(np.int64))
    assert -1148 <= number >> 6 <= 1147, "so there are 2,296 pages at most"
    assert percentile._middle(number, percentile._MIDDLES) == Between(value, value, 0, 0.01)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_bins_are_in_the_order_of_values(one: float, other: float) -> None:
    numbers = [percentile._bin(np.float64(value + 0.0).view(np.int64)) for value in sorted((one, other))]
    assert numbers == sorted(numbers)


def test_where_one_bin_ends_the_next_begins() -> None:
    """The ends of bins are where the error is largest, and where the logarithm by a polynomial could be out of step."""
    ends = np.concatenate([2 / (1 / percentile._MIDDLES[:-1] + 1 / percentile._MIDDLES[1:]), [1.0, 2.0]])
    for end in (ends[:, None] * (1 + np.arange(-9, 10) * 2.0**-52)).ravel().tolist():
        for value in (end, -end, end * 2.0**900, end * 2.0**-1000):
            number = percentile._bin(np.float64(value).view(np.int64))
            assert percentile._middle(number, percentile._MIDDLES) == Between(value, value, 0, 0.01)


_RANDOM = np.random.default_rng(7)
_TIMES = np.arange(5_000)
SHAPES: dict[str, NDArray[Any]] = {
    "all equal": np.full(5_000, 21.3),
    "zeros of both signs": np.where(_TIMES % 2, 0.0, -0.0),
    "two clusters": np.concatenate([_RANDOM.normal(20, 0.1, 2_500), _RANDOM.normal(90_000, 1, 2_500)]),
    "powers of ten": 10.0 ** np.linspace(-300, 300, 5_000),
    "powers of both signs": np.concatenate(
        [10.0 ** np.linspace(-300, 300, 2_500), -(10.0 ** np.linspace(-300, 300, 2_500))]
    ),
    "around zero": _RANDOM.normal(0, 1, 5_000),
    "sorted": np.linspace(-1_000, 1_000, 5_000),
    "reverse": np.linspace(1_000, -1_000, 5_000),
    "subnormal": np.arange(1, 5_001) * 5e-324,
    "the largest": np.concatenate([np.full(2_500, 1.7976931348623157e308), np.full(2_500, -1.7976931348623157e308)]),
    "one outlier": np.concatenate([[1e308], _RANDOM.uniform(15, 25, 4_998), [-1e308]]),
    "lognormal": _RANDOM.lognormal(3, 2, 5_000),
    "whole numbers": _RANDOM.integers(-50, 50, 5_000).astype(np.float64),
    "just more than a few": _RANDOM.normal(20, 1, FEW + 1),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_many_values_are_at_most_one_percent_off(shape: str) -> None:
    check(Pool(*calls()).put(0, SHAPES[shape]), 0, SHAPES[shape])


@pytest.mark.parametrize("shape", SHAPES)
def test_many_values_that_were_merged_are_at_most_one_percent_off(shape: str) -> None:
    pool = Pool(*calls())
    pool.put(np.arange(len(SHAPES[shape])) * 7 % 50, SHAPES[shape])
    pool.merge(50, range(50))
    check(pool, 50, SHAPES[shape])


@given(
    st.lists(st.one_of(st.floats(allow_nan=False), st.floats(-10, 10), st.integers(-2, 2)), min_size=1, max_size=200),
    st.integers(1, 9),
    st.floats(0, 100),
)
def test_whatever_the_values_they_are_at_most_one_percent_off(values: list[float], times: int, number: float) -> None:
    call = f"percentile(x, {number:.3f})"
    (got,) = Pool(call).put(0, np.array(values * times, np.float64)).results(call, 0)
    want = expected(values * times, float(f"{number:.3f}"))
    assert got == want or (math.isnan(got) and want is None)


def test_a_sensor_that_always_says_the_same_is_exact() -> None:
    assert Pool("p95(x)").put(0, np.full(1_000, 21.3)).results("p95(x)", 0) == [21.3]


def test_the_ends_are_exact_and_nothing_lies_beyond_them() -> None:
    values = _RANDOM.normal(20, 0.01, 1_000)
    pool = Pool(*calls()).put(0, values)
    (low,), (high,) = pool.results("percentile(x, 0)", 0), pool.results("percentile(x, 100)", 0)
    assert (low, high) == (values.min(), values.max())
    for call in calls():
        assert low <= pool.results(call, 0)[0] <= high


def test_ints_are_counted_as_floats() -> None:
    values = np.array([2**63 - 1, 1 - 2**63, 0, 5, -5] * 40)
    check(Pool(*calls(), type_=Type.INT).put(0, values), 0, values)


@pytest.mark.parametrize("times", [1, 30])
def test_infinite_values_lie_beyond_all_others(times: int) -> None:
    values = np.array([-INF, 1.0, 2.0, INF] * times + [3.0])
    pool = Pool(*calls()).put(0, values)
    assert pool.results("percentile(x, 0)", 0) == [-INF]
    assert pool.results("percentile(x, 100)", 0) == [INF]
    assert pool.results("percentile(x, 50)", 0)[0] == Between(2, 2, 0, 0.01)
    assert pool.results("percentile(x, 0.1)", 0) == [-INF], "between it and another rank"


@pytest.mark.parametrize("times", [1, 50])
def test_between_both_infinities_it_is_missing(times: int) -> None:
    pool = Pool("p50(x)").put(0, np.array([-INF, INF] * times))
    assert math.isnan(pool.results("p50(x)", 0)[0])


# That it is the same, however it came about.


@given(
    st.lists(st.sampled_from([0.0, -0.0, 1e-300, -3.0, 20.0, 20.5, 1e9, INF]), max_size=200),
    st.lists(st.integers(0, 7), min_size=200, max_size=200),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=8),
    st.randoms(use_true_random=False),
)
def test_merged_or_not_and_in_any_order_it_is_the_same_to_the_bit(
    values: list[float], pane: list[int], merges: list[tuple[int, int]], random: Any
) -> None:
    pool = Pool(*calls())
    pool.put(pane[: len(values)], np.array(values, np.float64))
    held = [[value for value, own in zip(values, pane, strict=False) if own == each] for each in range(8)]
    for into, of in merges:
        if into != of:
            pool.merge(into, [of])
            held[into] = held[into] + held[of]
    pool.merge(8, range(8))
    whole = [value for own in held for value in own]
    random.shuffle(whole)
    once = Pool(*calls()).put(0, np.array(whole, np.float64))
    for call in calls():
        assert np.array(pool.results(call, 8)).tobytes() == np.array(once.results(call, 0)).tobytes()


def readings(number: int, seed: int) -> list[tuple[bytes, int, dict[str, float]]]:
    """Make readings of two devices, some of them out of order, a hundred a second."""
    random = np.random.default_rng(seed)
    ts = np.arange(number) * SECOND // 100 + random.integers(-SECOND, SECOND, number)
    x = np.where(random.random(number) < 0.2, random.normal(0, 1e-3, number), random.lognormal(3, 1, number))
    return [
        (b"ab"[at % 2 : at % 2 + 1], int(time), {"x": float(value)})
        for at, (time, value) in enumerate(zip(ts, x, strict=True))
    ]


SCHEMA = Schema({"x": Type.FLOAT}, ("device",), "ts")
SLIDING = Hopping.model_validate(
    {"size": "10s", "slide": "3s", "aggregate": {"high": "p99_9(x)", "middle": "median(x)", "low": "p5(x)"}}
)


def test_windows_put_together_from_slices_are_at_most_one_percent_off() -> None:
    rows = clocked(readings(6_000, 1), lateness=3 * SECOND, close=True)
    made = run(SLIDING, rows, SCHEMA)
    assert not made.rows["late"]
    assert len(made.main) > 40
    for window in made.main:
        inside = [row["x"] for row in rows if row.live and row.device == window.device]
        at = [row.ts for row in rows if row.live and row.device == window.device]
        held = [x for x, ts in zip(inside, at, strict=True) if window["window_start"] <= ts < window["window_end"]]
        for name, number in {"high": 99.9, "middle": 50, "low": 5}.items():
            assert window[name] == expected(held, number)


def test_with_hundreds_of_values_a_pane_cuts_and_snapshots_change_nothing() -> None:
    rows = clocked(readings(4_000, 2), lateness=3 * SECOND, close=True)
    whole = Runner(SLIDING, SCHEMA).put(rows)
    assert Runner(SLIDING, SCHEMA).put_pieces(cut(rows, range(0, len(rows), 37))) == whole
    runner = Runner(SLIDING, SCHEMA)
    main: list[Row] = []
    for piece in cut(rows, range(0, len(rows), 501)):
        main += runner.put(piece).main
        runner.resume()
    assert main == whole.main


# What it costs.


def test_percentiles_of_a_column_share_what_they_keep() -> None:
    one, many = Pool("p95(x)"), Pool("p5(x)", "p99_9(x)", "percentile(x, 12.5)", "median(x)")
    assert many.panes.bytes_a_pane() == one.panes.bytes_a_pane() == Pool("count(x)").panes.bytes_a_pane() - 8 + 80
    many.put(0, SHAPES["lognormal"])
    for call, number in {"p5(x)": 5, "p99_9(x)": 99.9, "percentile(x, 12.5)": 12.5, "median(x)": 50}.items():
        assert many.results(call, 0)[0] == expected(SHAPES["lognormal"], number)


def pages(pool: Pool) -> tuple[int, int]:
    """Give how many pages there are, and how many of them panes have."""
    kept = pool.panes.snapshot()
    assert kept["0.numbers"].nbytes + kept["0.links"].nbytes == 520 * len(kept["0.links"])
    return len(kept["0.links"]), len(kept["0.links"]) - int(kept["0.free"][1])


@pytest.mark.parametrize(
    ("values", "number"),
    [
        (SHAPES["powers of ten"][:1], 1),
        (SHAPES["powers of ten"][:FEW], 1),
        (SHAPES["all equal"], 1),
        (np.linspace(15, 25, 5_000), 1),
        (np.linspace(10, 100, 5_000), 2),
        (np.concatenate([[sign * INF, *(sign * 2.0 ** np.arange(-1074, 1024))] for sign in (1, -1)]), 2_296),
    ],
)
def test_a_pane_takes_as_many_pages_as_its_values_spread_over(values: Floats, number: int) -> None:
    assert pages(Pool("p95(x)").put(0, values))[1] == number


def test_pages_are_given_back() -> None:
    pool = Pool("p95(x)")
    for shape in SHAPES.values():
        pool.put(np.arange(len(shape)) % 3, shape)
        pool.merge(3, [0, 1, 2])
        assert pages(pool)[1] > 0
        pool.release(0, 1, 2, 3)
        assert pages(pool)[1] == 0
        assert math.isnan(pool.results("p95(x)", 3)[0])


def test_ten_thousand_windows_take_no_more_memory_than_a_thousand() -> None:
    spec = Tumbling.model_validate({"size": "1m", "aggregate": {"high": "p95(x)", "different": "distinct(x)"}})
    state = Runner(spec, SCHEMA).state
    ts = np.arange(7_000) * MINUTE // 70
    x = np.random.default_rng(3).lognormal(3, 2, 7_000)
    slots, live = np.zeros(7_000, np.uint32), np.ones(7_000, np.bool_)
    sizes = []
    for begin in range(0, 10_000, 100):
        made = state.on_batch(Batch(slots, ts + begin * MINUTE, ts + begin * MINUTE, ts, live, {"x": x})).main
        assert made.live.sum() >= 99
        assert np.asarray(made.columns["different"])[made.live].min() > FEW
        sizes.append({name: array.nbytes for name, array in state.snapshot().items()})
    assert sizes[-1] == sizes[9]
