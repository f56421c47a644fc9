"""Tests of the pool of panes: it grows, takes panes back, and comes back from a snapshot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.aggregate.base import parse_call
from operators.batch import Batch, Schema, Type
from operators.window.panes import Panes

SCHEMA = Schema({"x": Type.FLOAT}, ("device",), "ts")
AGGREGATES = {name: parse_call(call, SCHEMA, ()) for name, call in (("n", "count()"), ("top", "max(x)"))}


def rows(*values: float) -> Batch:
    count = len(values)
    time = np.arange(count)
    return Batch(np.zeros(count, np.uint32), time, time, time, np.ones(count, np.bool_), {"x": np.array(values)})


def taken(panes: Panes, count: int) -> NDArray[np.int64]:
    """Take panes off the stack, as a window's kernel does."""
    free = int(panes.free_count[0])
    panes.free_count[0] -= count
    return panes.free[free - count : free][::-1].astype(np.int64)


def test_the_pool_grows_without_giving_a_pane_twice_or_losing_what_one_holds() -> None:
    panes = Panes(AGGREGATES, None)
    panes.reserve(1, 3)
    first = taken(panes, 3)
    panes.update(rows(1.0, 2.0, 3.0), first)
    panes.reserve(5, 100)
    more = taken(panes, 100)
    assert len({*first.tolist(), *more.tolist()}) == 103
    assert panes.results(first)["top"].tolist() == [1.0, 2.0, 3.0]  # type: ignore[union-attr]  # not text
    assert len(panes.head) >= 5


def test_a_pane_that_is_given_back_is_empty_when_it_is_taken_again() -> None:
    panes = Panes(AGGREGATES, None)
    panes.reserve(1, 2)
    used = taken(panes, 2)
    panes.update(rows(5.0, 6.0, np.nan, 7.0), np.array([used[0], used[1], used[1], -1]))
    assert panes.results(used)["n"].tolist() == [1, 2]  # type: ignore[union-attr]  # not text
    panes.release(used)
    again = taken(panes, 2)
    assert sorted(again.tolist()) == sorted(used.tolist())
    assert panes.results(again)["n"].tolist() == [0, 0]  # type: ignore[union-attr]  # not text
    assert np.isnan(np.asarray(panes.results(again)["top"])).all()


def test_a_snapshot_is_a_copy_from_which_another_pool_goes_on() -> None:
    panes = Panes(AGGREGATES, None)
    panes.reserve(2, 2)
    used = taken(panes, 1)
    panes.update(rows(5.0), used)
    snapshot = panes.snapshot()
    panes.update(rows(9.0), used)
    other = Panes(AGGREGATES, snapshot)
    assert other.results(used)["top"].tolist() == [5.0]  # type: ignore[union-attr]  # not text
    assert taken(other, 1).tolist() != used.tolist()
