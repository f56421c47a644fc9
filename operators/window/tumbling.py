"""Windows of one size, one behind the other: each row belongs to exactly one.

A window holds the rows with `window_start <= ts < window_end`; windows are counted from 1970-01-01T00:00Z. It closes
when its device's watermark reaches its end, and gives one row then. A row for a window that has closed goes to the
side output `late`.

    lateness 5s        10:00:00        10:00:10        10:00:20
    readings              a   b            c    d          e
                       [---------------)[--------------)[---
    closed by                                  d: the watermark is at 10:00:10 when ts reaches 10:00:15

Example:
    steps:
      - window:
          tumbling: 1m
          aggregate: {t_mean: mean(temperature), n: count()}
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from operators.aggregate.base import empty_of
from operators.base import Inputs, Outputs, Snapshot
from operators.batch import Batch, Schema
from operators.duration import UNITS, PositiveDuration
from operators.window.base import Window
from operators.window.panes import NO_PANE, Panes


class Tumbling(Window):
    """Windows of one size, one behind the other."""

    primary: ClassVar[str] = "size"

    size: PositiveDuration = Field(description="Length of a window, such as `1m`.")

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> _State:
        """Make a state with no window open, or go on from a snapshot."""
        return _State(self, inputs.schema, resume)

    def reach(self) -> int:
        """A window is open for at most its size behind the last row in it."""
        return self.size


class _State:
    def __init__(self, spec: Tumbling, schema: Schema, resume: Snapshot | None) -> None:
        self._size = spec.size
        self._time = schema.time
        self._types = spec.outputs(schema)[""].columns
        self._panes = Panes(spec.aggregates(schema), resume)

    def on_batch(self, batch: Batch) -> Outputs:
        panes = self._panes
        panes.reserve(int(batch.device.max(initial=0)) + 1, len(batch))
        pane = np.empty(len(batch), np.int64)
        closed = np.empty((2, len(panes.start) + len(batch)), np.int64)
        count = _assign(
            batch.device, batch.ts, batch.watermark, batch.live, self._size, panes.head, panes.closed_to, panes.start,
            panes.next, panes.free, panes.free_count, pane, closed,
        )  # fmt: skip
        panes.update(batch if self._time is None else batch.adding({self._time: batch.ts}), pane)
        out = self._rows(batch, *closed[:, :count])
        panes.release(closed[0, :count][closed[0, :count] >= 0])
        late = np.flatnonzero(batch.live & (pane == NO_PANE))
        return Outputs(out, {"late": self._late(batch.take(late))})

    def _rows(self, batch: Batch, pane: NDArray[np.int64], row: NDArray[np.int64]) -> Batch:
        """Make a row of each closed pane, and a punctuation where a watermark passed a window without rows."""
        live = pane >= 0
        # Rows still to come are of windows that end behind the watermark, so none is before this.
        horizon = _floor(batch.watermark[row], self._size) + self._size - 1
        start = np.where(live, self._panes.start[pane], horizon - self._size + 1)
        ts = start + self._size - 1
        # The last row that a record closes carries the horizon; the ones before it must not, or it would be late.
        last = np.append(row[1:] != row[:-1], True)
        watermark = np.where(last[: len(row)], horizon, ts)
        columns: dict[str, Any] = {"window_start": start, "window_end": start + self._size}
        columns |= self._panes.results(pane)
        if not live.all():
            for name, type_ in self._types.items():
                columns[name] = np.where(live, columns[name], empty_of(type_))
        return Batch(batch.device[row], ts, watermark, batch.offset[row], live, columns)

    def _late(self, batch: Batch) -> Batch:
        start = _floor(batch.ts, self._size)
        end = start + self._size
        late_by = (batch.watermark - end) / UNITS["s"]
        return batch.adding({"window_start": start, "window_end": end, "late_by": late_by})

    def snapshot(self) -> Snapshot:
        return self._panes.snapshot()


def _floor(ts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Give the start of the window in which each time falls; times before 1970 too."""
    return ts // size * size


@njit(cache=True, nogil=True)
def _assign(  # type: ignore[no-untyped-def]  # compiled: numba infers
    device, ts, watermark, live, size, head, closed_to, start, next_, free, free_count, pane, closed
):
    """Find the pane of every live row (-1: late), and the panes that the watermarks close.

    Returns how many entries `closed` holds: the pane (-1: a watermark passed, but no pane was open) and the row that
    closed it.
    """
    count = 0
    for row in range(len(ts)):
        slot = device[row]
        pane[row] = -1
        if live[row]:
            begin = ts[row] // size * size
            if begin >= closed_to[slot]:
                # A device's panes are few and in order of time: walk to the first that isn't earlier.
                before = -1
                at = head[slot]
                while at >= 0 and start[at] < begin:
                    before = at
                    at = next_[at]
                if at < 0 or start[at] != begin:
                    free_count[0] -= 1
                    new = free[free_count[0]]
                    start[new] = begin
                    next_[new] = at
                    if before < 0:
                        head[slot] = new
                    else:
                        next_[before] = new
                    at = new
                pane[row] = at
        horizon = watermark[row] // size * size
        if horizon > closed_to[slot]:
            closed_to[slot] = horizon
            at = head[slot]
            first = count
            while at >= 0 and start[at] < horizon:
                closed[0, count] = at
                closed[1, count] = row
                count += 1
                at = next_[at]
            head[slot] = at
            if count == first:
                closed[0, count] = -1
                closed[1, count] = row
                count += 1
    return count
