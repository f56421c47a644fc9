"""Tests of the pool of panes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.aggregate.base import Span
from operators.aggregate.call import parse_calls
from operators.batch import Batch
from operators.devices import DeviceTable
from operators.window.panes import SLOT, Panes
from tests.operators.rows import SCHEMA, Row, to_batch

EMPTY = np.zeros(SLOT, np.int64)


def pool(resume: Any = None, **aggregates: str) -> Panes:
    return Panes(parse_calls(aggregates, SCHEMA, set(), ()), EMPTY, resume)


def rows(*temperatures: float | None) -> Batch:
    made = [Row(b"a", at, at, at, live=True, values={"temperature": value}) for at, value in enumerate(temperatures)]
    return to_batch(made, SCHEMA, DeviceTable(("device",)))


def put(panes: Panes, batch: Batch, *operations: tuple[int, int]) -> None:
    """Carry out operations, each a pane and what goes into it."""
    values, failed = panes.values(batch, DeviceTable(("device",)), "ts")
    assert not failed
    into, of = (np.array(part, np.int32) for part in zip(*operations, strict=True))
    panes.update(values, batch.ts, into, of)


def result(panes: Panes, name: str, *pane: int) -> list[float]:
    at: NDArray[np.int64] = np.array(pane, np.int64)
    return np.asarray(panes.result(name, at, Span(at, at, at * 0 - 1))).tolist()  # type: ignore[no-any-return]


def test_rows_go_into_the_panes_that_the_plan_says() -> None:
    panes = pool(n="count()", total="sum(temperature)")
    panes.reserve(1, 3)
    put(panes, rows(1.0, 2.0, 4.0), (0, 0), (1, 1), (0, 2), (-1, 1))
    assert result(panes, "n", 0, 1, 2) == [2, 1, 0]
    assert result(panes, "total", 0, 1) == [5, 2]


def test_panes_are_put_together_in_the_order_of_the_plan() -> None:
    panes = pool(n="count()", last="last(temperature)")
    panes.reserve(1, 4)
    put(panes, rows(1.0, 2.0, 4.0), (0, 0), (1, 1), (2, ~0), (2, ~1), (1, 2))
    assert result(panes, "n", 0, 1, 2) == [1, 2, 2], "what comes into a pane later isn't in what it went into before"
    assert result(panes, "last", 2) == [2]


def test_a_missing_value_goes_nowhere() -> None:
    panes = pool(n="count()", some="count(temperature)")
    panes.reserve(1, 1)
    put(panes, rows(1.0, None), (0, 0), (0, 1))
    assert (result(panes, "n", 0), result(panes, "some", 0)) == ([2], [1])


def test_a_released_pane_is_empty_when_it_is_used_again() -> None:
    panes = pool(n="count()", total="sum(temperature)", high="max(temperature)")
    panes.reserve(1, 2)
    put(panes, rows(1.0), (0, 0), (1, 0))
    panes.free_count = 0
    panes.release(np.array([1, 0]))
    assert panes.free_count == 2
    assert panes.free[:2].tolist() == [0, 1]
    assert result(panes, "n", 0, 1) == [0, 0]
    assert np.isnan(result(panes, "high", 0)).all()


def test_a_pool_that_grows_keeps_what_is_in_it() -> None:
    panes = pool(n="count()", high="max(temperature)")
    panes.reserve(1, 1)
    known = len(panes.panes)
    put(panes, rows(7.0), (0, 0))
    panes.free_count = 0
    panes.reserve(100, 50)
    assert (result(panes, "n", 0), result(panes, "high", 0)) == ([1], [7])
    assert len(panes.slots) >= 100
    assert sorted(panes.free[: panes.free_count].tolist()) == list(range(known, len(panes.panes)))


def test_aggregates_that_keep_the_same_share_it() -> None:
    alone = pool(total="sum(temperature)")
    both = pool(total="sum(temperature)", mean="mean(temperature)", again="sum(temperature)")
    assert both.bytes_a_pane() == alone.bytes_a_pane()
    assert pool(total="sum(temperature)", other="sum(humidity)").bytes_a_pane() > alone.bytes_a_pane()
    both.reserve(1, 1)
    put(both, rows(1.0, 2.0), (0, 0), (0, 1))
    assert (result(both, "total", 0), result(both, "mean", 0), result(both, "again", 0)) == ([3], [1.5], [3])


def test_a_pool_goes_on_from_its_snapshot() -> None:
    old = pool(n="count()", flag="any(ok)")
    old.reserve(3, 5)
    put(old, rows(1.0, 2.0), (4, 0), (4, 1))
    new = pool(old.snapshot(), n="count()", flag="any(ok)")
    put(old, rows(1.0), (4, 0))
    assert result(new, "n", 4) == [2]
    assert new.free_count == old.free_count
