"""Panes of one column `x`, filled by arrays: for more values than rows in plain Python are fit for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from operators.aggregate.base import Span
from operators.aggregate.call import parse_call
from operators.base import Snapshot
from operators.batch import Schema, Type
from operators.window.panes import SLOT, Panes


class Pool:
    """A pool of panes with aggregates of the column `x`."""

    def __init__(self, *calls: str, type_: Type = Type.FLOAT, resume: Snapshot | None = None) -> None:
        """Make empty panes, or go on from a snapshot."""
        schema = Schema({"x": type_}, ("device",), "ts")
        made = {call: parse_call(call, schema, ()) for call in calls}
        self.panes = Panes(made, np.zeros(SLOT, np.int64), resume)
        self.panes.reserve(1, 64)
        self.panes.free_count = 0  # all are in use

    def put(self, pane: ArrayLike, values: ArrayLike) -> Pool:
        """Put values into a pane, or each into its own."""
        column = np.asarray(values)
        into = np.broadcast_to(np.asarray(pane, np.int32), column.shape).copy()
        at = np.arange(len(column))
        self.panes.update({"x": (column, None)}, at, into, at.astype(np.int32))
        return self

    def merge(self, pane: int, others: Sequence[int]) -> None:
        """Put all that other panes hold into a pane."""
        into = np.full(len(others), pane, np.int32)
        of = np.array([~other for other in others], np.int32)
        self.panes.update({"x": (np.empty(0), None)}, np.empty(0, np.int64), into, of)

    def results(self, call: str, *pane: int) -> list[Any]:
        """Give the results of panes."""
        at: NDArray[np.int64] = np.array(pane, np.int64)
        return np.asarray(self.panes.result(call, at, Span(at, at, at * 0 - 1))).tolist()  # type: ignore[no-any-return]

    def release(self, *pane: int) -> None:
        """Empty panes; they can be filled again."""
        self.panes.release(np.array(pane, np.int64))
        self.panes.free_count = 0
