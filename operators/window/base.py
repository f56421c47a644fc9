"""What every window has in common: its aggregates, the columns of its rows, and how a batch goes through.

A window's kernel walks over the rows of a batch and writes a plan: which row goes into which pane and which panes are
put together, in order; which windows give a row; which rows are late. Then the aggregates carry out the plan a column
at a time, and the rows are made. Where a plan is full, it is carried out and the kernel goes on behind it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from operators.aggregate.base import Span, empty_of
from operators.aggregate.call import Call, parse_calls
from operators.base import Inputs, Operator, Outputs, Reject, Snapshot
from operators.batch import Batch, Column, Schema, Type
from operators.clock import NEVER
from operators.duration import UNITS, PositiveDuration
from operators.window.panes import Panes

BOUNDS = {"window_start": Type.TIME, "window_end": Type.TIME}
"""The columns that say which window a row is of: `[window_start, window_end)`."""
PER_GIVEN = 9
"""Numbers in a plan for each row that is given: the pane (-1: a punctuation), the row that caused it, the window's start
and end, event time, watermark, the pane before, whether it is final, and until when the result reaches; us."""
OWN_TIME = ".ts"
"""The column of the rows' own times, for windows that sum them up too; no user's name begins so."""
_ROOMY = 64
"""Operations a row up to which a plan grows where it was full, so that the next batch needs it once."""
PANE, ROW, START, STOP, TS, WATERMARK, BEFORE, FINAL, UNTIL = range(PER_GIVEN)


class Window(Operator):
    """A window step: what it computes of each window, and what its rows look like."""

    aggregate: dict[str, str] = Field(
        description="Name of the output column to an aggregate of a column, such as `t_mean: mean(temperature)`.",
        min_length=1,
    )

    def outputs(self, schema: Schema) -> Mapping[str, Schema]:
        """Give a row a window; late rows as they came, with the window they missed and by how much (s)."""
        results = {name: call.aggregate.result for name, call in self.calls(schema).items()}
        final = {"final": Type.BOOL} if self.marks_final() else {}
        late = schema.adding({**BOUNDS, "late_by": Type.FLOAT})
        return {"": Schema({**BOUNDS, **final, **results}, schema.device, None), "late": late}

    def calls(self, schema: Schema) -> dict[str, Call]:
        """Read the aggregates; report all that are wrong at once."""
        taken = {*BOUNDS, *schema.device, *({"final"} if self.marks_final() else ())}
        return parse_calls(self.aggregate, schema, taken, ("aggregate",))

    def makes_rows(self) -> bool:
        """A window's row stands for all its records."""
        return True

    def marks_final(self) -> bool:
        """Whether rows say if they are final."""
        return False


class EarlyWindow(Window):
    """A window step that gives early results on request."""

    early: PositiveDuration | None = Field(
        None,
        description="Give each open window that has changed as often as this, in the device's event time, before it "
        "closes too; rows then have a column `final`.",
    )

    def marks_final(self) -> bool:
        """Whether rows say if they are final."""
        return self.early is not None


class Plan:
    """What a kernel decides over some rows.

    Attributes:
        at: int64 (3), where the kernel stands: the row, what of it is done, and the end of the window last given early.
        counts: int64 (6), how many there are of: free panes, operations, rows given, late rows, panes to release, rows that
            are late for some of their windows.
        into: int32, of: int32, the operations.
        given: int64 (`PER_GIVEN`, n), the rows given.
        late: int64 (3, n), the rows that are late, and start and end of the window they missed.
        released: int64, panes that are done with.
    """

    def __init__(self) -> None:
        """Make a small plan; it grows."""
        self.at = np.zeros(3, np.int64)
        self.counts = np.zeros(6, np.int64)
        self.grow(1024)

    def grow(self, room: int) -> None:
        """Make room for at least so many operations."""
        self.into = np.empty(room, np.int32)
        self.of = np.empty(room, np.int32)
        self.given = np.empty((PER_GIVEN, room), np.int64)
        self.late = np.empty((3, room), np.int64)
        self.released = np.empty(room, np.int64)

    def begin(self, free: int) -> None:
        """Empty the plan."""
        self.counts[:] = (free, 0, 0, 0, 0, 0)


class WindowState(ABC):
    """The state of a window step."""

    def __init__(self, spec: Window, inputs: Inputs, resume: Snapshot | None) -> None:
        """Make a state with no window open, or go on from a snapshot."""
        self._devices = inputs.devices
        self.time = inputs.schema.time
        self._final = spec.marks_final()
        outputs = spec.outputs(inputs.schema)
        self.types = outputs[""].columns
        # What comes out of most small batches: nothing.
        self._no_rows = Batch.empty(self.types)
        self._no_late = Batch.empty(outputs["late"].columns) if "late" in outputs else None
        calls = self.calls(spec, inputs.schema)
        self.panes = Panes(calls, self.empty_slot(), resume)
        self._plan = Plan()

    @abstractmethod
    def plan(self, batch: Batch, plan: Plan) -> None:
        """Go on over the rows from `plan.at` until they end or the plan has no room for what comes next."""

    def calls(self, spec: Window, schema: Schema) -> dict[str, Call]:
        """Give the aggregates to keep."""
        return spec.calls(schema)

    @abstractmethod
    def empty_slot(self) -> NDArray[np.int64]:
        """Give what is kept of a device that was never seen: `SLOT` numbers."""

    def on_batch(self, batch: Batch) -> Outputs:
        """Take in rows."""
        values, failed = self.panes.values(batch, self._devices, self.time)
        if failed:
            ok = np.ones(len(batch), np.bool_)
            ok[[row for row, _ in failed]] = False
            batch = batch.keeping(ok)
        given, late, partly_late = [], [], 0
        plan = self._plan
        plan.at[:] = (0, 0, NEVER)
        self.panes.reserve(int(batch.device.max(initial=0)) + 1, 3 * len(batch) + 64)
        if len(plan.into) < 8 * len(batch):
            plan.grow(8 * len(batch))
        while True:
            plan.begin(self.panes.free_count)
            before = plan.at.copy()
            self.plan(batch, plan)
            free, ops, rows, lates, gone, partly = plan.counts.tolist()
            partly_late += partly
            self.panes.free_count = free
            self.panes.update(values, batch.ts, plan.into[:ops], plan.of[:ops])
            given.append(self.rows(batch, plan.given[:, :rows]))
            late.append(plan.late[:, :lates].copy())
            self.panes.release(plan.released[:gone])
            if plan.at[0] == len(batch):
                break
            # A window of many slices needs room for all of them at once; the plan keeps it for the batches to come.
            stuck = not ops + rows + lates + gone and (before == plan.at).all()
            few = plan.at[0] - before[0] < len(batch) // 4
            if stuck or few or len(plan.into) < _ROOMY * len(batch):
                plan.grow(2 * len(plan.into))
            self.panes.reserve(0, 2 * self.panes.free_count if stuck else 3 * len(batch) + 64)
        rejects = [Reject(int(batch.offset[row]), reason) for row, reason in dict(failed).items()]
        output = self.output(batch, given, np.concatenate(late, axis=1))
        return replace(output, rejects=rejects, partly_late=partly_late) if rejects or partly_late else output

    def output(self, batch: Batch, given: list[Batch], late: NDArray[np.int64]) -> Outputs:
        """Put together what the plans gave, and the late rows with the window they missed and by how much."""
        if self._no_late is not None and not late.shape[1]:
            return Outputs(Batch.concat(given), {"late": self._no_late})
        row, start, end = late
        missed = batch.take(row)
        late_by = (missed.watermark - end) / UNITS["s"]
        missed = missed.adding({"window_start": start, "window_end": end, "late_by": late_by})
        return Outputs(Batch.concat(given), {"late": missed})

    def rows(self, batch: Batch, given: NDArray[np.int64]) -> Batch:
        """Make a row of each window that is given, and the punctuations between them."""
        if not given.shape[1]:
            return self._no_rows
        pane, row = given[PANE], given[ROW]
        live = pane >= 0
        columns: dict[str, Column] = {"window_start": given[START].copy(), "window_end": given[STOP].copy()}
        if self._final:
            columns["final"] = given[FINAL].astype(np.int8)
        span = Span(given[START], given[UNTIL], given[BEFORE])
        for name, type_ in self.types.items():
            if name not in columns:
                columns[name] = self.panes.result(name, pane, span)
            if not live.all():
                columns[name] = np.where(live, columns[name], empty_of(type_))  # type: ignore[arg-type]  # no aggregate gives text
        return Batch(batch.device[row], given[TS].copy(), given[WATERMARK].copy(), batch.offset[row], live, columns)

    def snapshot(self) -> Snapshot:
        """Copy all that is kept."""
        return self.panes.snapshot()
