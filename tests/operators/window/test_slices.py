"""Tests of windows on a grid that their semantics don't show: the queue of slices, and plans that are full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.window.base import Plan
from operators.window.hopping import Hopping
from operators.window.slices import Slices
from tests.operators.rows import HOUR, MINUTE, NINE, SECOND, Near, Row, Runner, clocked, run
from tests.operators.streams import streams

AGGREGATES = {"n": "count()", "total": "sum(n)", "first": "first(ts)", "last": "last(ts)", "area": "integral(score)"}


def hopping(**options: Any) -> Hopping:
    return Hopping.model_validate({"aggregate": AGGREGATES, **options})


def readings(count: int, every: int = SECOND) -> list[tuple[bytes, int, Mapping[str, Any]]]:
    return [(b"a", NINE + at * every, {"n": at, "score": 1.0}) for at in range(count)]


@pytest.mark.parametrize("options", [{"early": "20s"}, {}, {"early": "7s", "size": "10s"}])
@given(data=st.data())
def test_a_plan_that_is_full_is_carried_out_and_gone_on_with(options: dict[str, Any], data: st.DataObject) -> None:
    spec = hopping(**{"size": "10m", "slide": "7s", **options})
    rows = data.draw(streams(spec.reach()))
    whole = run(spec, rows)
    runner = Runner(spec)
    assert isinstance(runner.state, Slices)
    runner.state._plan = _Narrow()
    assert runner.put(rows) == whole


class _Narrow(Plan):
    """A plan that has room for very little, and grows only where nothing else helps."""

    def grow(self, room: int) -> None:
        if not hasattr(self, "into"):
            room = 16
        elif room > 2 * len(self.into):
            return
        super().grow(room)


def test_a_row_that_closes_thousands_of_windows_gives_them_all() -> None:
    # lateness 1h, and a reading a second: the end of the run closes an hour of windows that begin every second
    rows = clocked(readings(1_000), lateness=HOUR, close=True)
    made = run(hopping(size="5m", slide="1s"), rows).main
    assert len(made) == 1_000 + 299
    assert sum(row["n"] for row in made) == 300 * 1_000
    assert [row["window_start"] for row in made] == [NINE + (at - 299) * SECOND for at in range(1_299)]


def test_the_operations_of_an_event_dont_depend_on_the_overlap() -> None:
    # Once a second, from windows of a minute (60 overlap) and of an hour (3,600 overlap).
    counts = []
    for size in ("1m", "1h"):
        runner = Runner(hopping(size=size, slide="1s"))
        assert isinstance(runner.state, Slices)
        operations: list[int] = []
        update = runner.state.panes.update
        runner.state.panes.update = lambda values, ts, into, of, u=update, o=operations: (  # type: ignore[method-assign, misc]
            o.append(len(into)),
            u(values, ts, into, of),
        )[1]
        for first in range(0, 10_000, 500):
            if first == 5_000:  # windows of an hour begin to close behind 3,600 rows
                operations.clear()
            runner.put(clocked(readings(10_000)[first : first + 500], lateness=5 * SECOND))
        counts.append(sum(operations) / 5_000)
    assert max(counts) < 12
    assert counts[1] < 1.2 * counts[0]


def test_a_late_row_reaches_every_window_that_still_holds_it() -> None:
    # size 10s, slide 1s, no lateness: 0s .. 20s, then 12.5s: the windows that end at 21s and 22s hold it
    rows = clocked([*readings(21), (b"a", NINE + 12 * SECOND + 500_000, {"n": 0, "score": 1.0})], close=True)
    made = {(row["window_end"] - NINE) // SECOND: row["n"] for row in run(hopping(size="10s", slide="1s"), rows).main}
    assert (made[20], made[21], made[22], made[23]) == (10, 11, 10, 8)


def test_an_integral_in_windows_that_overlap_is_that_of_each_on_its_own() -> None:
    # A reading of 1 a second, held until the next: 60 in every window of a minute, but for the first ones.
    rows = clocked(readings(300), lateness=5 * SECOND, close=True)
    made = run(hopping(size="1m", slide="5s"), rows).main
    full = [row["area"] for row in made if NINE + 5 * SECOND <= row["window_start"] <= NINE + 4 * MINUTE]
    assert full
    assert all(Near(60.0) == area for area in full)


def test_memory_doesnt_grow_with_time() -> None:
    runner = Runner(hopping(size="1m", slide="5s"))
    sizes = []
    for first in range(0, 20_000, 500):
        runner.put(clocked([(b"a", NINE + at * SECOND, {"n": 1}) for at in range(first, first + 500)]))
        sizes.append(len(runner.state.snapshot()["panes"]))
    assert sizes[-1] == sizes[2]


def test_the_end_of_time_leaves_no_pane_behind() -> None:
    runner = Runner(hopping(size="1m", slide="7s", early="5s"))
    rows = clocked(readings(200, 3 * SECOND), lateness=10 * SECOND, close=True)
    runner.put([*rows, Row(b"a", 2**62 + 1, 2**62 + 1, 200, live=False)])
    assert isinstance(runner.state, Slices)
    panes = runner.state.panes
    assert panes.free_count == len(panes.panes)
    assert sorted(panes.free.tolist()) == list(range(len(panes.panes)))
    assert np.array_equal(panes.slots[0], runner.state.empty_slot())
