"""Windows of a number of rows of a device, in the order in which they arrive.

A window of `size` rows is given with the row that completes it; a new window begins every `slide` rows. Nothing is late
for it, and it doesn't close by time: what is incomplete is given only where a run ends or a device is forgotten.

    size 4, slide 2       row   0  1  2  3  4  5  6
                                [--------)        |
                                      [--------)  |
                                            [-----

`window_start` is the earliest time in the window, and `window_end` is 1 us behind the latest.

Example:
    steps:
      - window:
          count: 10
          aggregate: {t_mean: mean(temperature)}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictInt

from operators.aggregate.base import Span
from operators.aggregate.call import Call
from operators.aggregate.max import Max
from operators.aggregate.min import Min
from operators.base import Inputs, Outputs, Snapshot
from operators.batch import Batch, Schema, Type
from operators.clock import END, FORGET, NEVER
from operators.kernel import kernel
from operators.window.base import BEFORE, OWN_TIME, PANE, ROW, START, STOP, TS, UNTIL, WATERMARK, Plan, Window
from operators.window.slices import Slices

_EARLIEST, _LATEST = ".min", ".max"
"""The aggregates of the rows' own times that every window keeps; no user's name begins so."""


class Count(Window):
    """Windows of a number of rows of a device, in the order in which they arrive."""

    primary: ClassVar[str] = "size"

    size: StrictInt = Field(ge=1, description="How many rows a window has.")
    slide: StrictInt | None = Field(
        None, ge=1, description="How many rows behind the one before a window begins; `size` if left out."
    )

    def outputs(self, schema: Schema) -> Mapping[str, Schema]:
        """Give a row a window."""
        return {"": super().outputs(schema)[""]}

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> _State:
        """Make a state with no window open, or go on from a snapshot."""
        return _State(self, inputs, resume)


class _State(Slices):
    """Slices of row numbers: a device's rows are counted, and their number is its watermark."""

    def __init__(self, spec: Count, inputs: Inputs, resume: Snapshot | None) -> None:
        super().__init__(spec, inputs, (0, spec.size, spec.slide or spec.size, 0), first=0, resume=resume)
        self._counted: NDArray[np.int64] = (resume or {"counted": np.empty((2, 0), np.int64)})["counted"].copy()
        """By slot: how many rows of the device there were, and its watermark (us)."""
        self._rows = np.empty((3, 0), np.int64)
        """Of the batch at hand: the number of each row, how many there are then, and the device's watermark before."""
        self._given: list[NDArray[np.int64]] = []
        """Of the batch at hand: the rows that gave windows."""

    def calls(self, spec: Window, schema: Schema) -> dict[str, Call]:
        return {
            **spec.calls(schema),
            _EARLIEST: Call(Min(Type.TIME), OWN_TIME),
            _LATEST: Call(Max(Type.TIME), OWN_TIME),
        }

    def on_batch(self, batch: Batch) -> Outputs:
        devices = int(batch.device.max(initial=0)) + 1
        known = self._counted.shape[1]
        if devices > known:
            more = np.array([[0], [NEVER]]).repeat(max(devices, 2 * known) - known, axis=1)
            self._counted = np.concatenate([self._counted, more], axis=1)
        self._rows = np.empty((3, 0), np.int64)
        self._given = []
        return super().on_batch(batch.adding({OWN_TIME: batch.ts}))

    def plan(self, batch: Batch, plan: Plan) -> None:
        if self._rows.shape[1] < len(batch):
            self._rows = np.empty((3, len(batch)), np.int64)
            _number(batch.device, batch.watermark, batch.live, self._counted, self._rows)
        self.plan_rows(batch.device, self._rows[0], self._rows[1], batch.live, plan)

    def rows(self, batch: Batch, given: NDArray[np.int64]) -> Batch:
        given = given[:, given[PANE] >= 0]
        pane, row = given[PANE], given[ROW]
        self._given.append(row)
        given[BEFORE] = -1  # a window of rows stands for itself
        span = Span(given[START], given[STOP], given[BEFORE])
        given[START], given[UNTIL] = (np.asarray(self.panes.result(name, pane, span)) for name in (_EARLIEST, _LATEST))
        given[STOP], given[TS] = given[UNTIL] + 1, given[UNTIL]
        # A row that ends a run gives windows that aren't complete, and doesn't tell the end of time before the last.
        given[WATERMARK] = np.where(batch.watermark[row] >= END, self._rows[2, row], batch.watermark[row])
        return super().rows(batch, given)

    def output(self, batch: Batch, given: list[Batch], late: NDArray[np.int64]) -> Outputs:  # noqa: ARG002  # nothing is
        """Put a punctuation where a row has given no window, and behind the windows that the end of time gives."""
        row = np.concatenate(self._given)
        silent = np.ones(len(batch), np.bool_)
        silent[row] = batch.watermark[row] >= END
        rest = np.flatnonzero(silent)
        punctuations = Batch.punctuations(batch.device[rest], batch.watermark[rest], batch.offset[rest], self.types)
        order = np.argsort(np.concatenate([row, rest]), kind="stable")
        return Outputs(Batch.concat([*given, punctuations]).take(order))

    def snapshot(self) -> Snapshot:
        return {**super().snapshot(), "counted": self._counted.copy()}


@kernel
def _number(device, watermark, live, counted, rows):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Number the rows of each device; where it ends or is forgotten, its watermark is the end of all numbers."""
    for row in range(len(device)):
        slot = device[row]
        rows[0, row] = counted[0, slot]
        rows[2, row] = counted[1, slot]
        counted[0, slot] += live[row]
        rows[1, row] = counted[0, slot]
        counted[1, slot] = watermark[row]
        if watermark[row] >= END:
            rows[1, row] = FORGET
            counted[0, slot] = 0
            if watermark[row] >= FORGET:
                counted[1, slot] = NEVER
