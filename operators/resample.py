"""Put irregular readings onto a regular grid of times: a row a device and grid time, where there is a value.

Grid times are `origin + k * every`. Each column is taken by itself; a missing value is no reading of it.

    last      the latest reading up to the grid time, if it is at most `gap` old
    linear    on the line between the readings before and after, if they are at most `gap` apart; a reading exactly at
              the grid time is itself; a line that begins or ends at an infinite reading has no values
    mean      the mean of the readings in `(grid time - every, grid time]`

A grid time at which every column would be missing gives no row, so a long silence gives none. Of readings at one time
the one that arrived last counts (for `mean`, each).

A row is given once no reading to come can change it: when the watermark of its device has passed the grid time, and
for `linear` the reading after it too, or the time until which one near enough could come. So readings out of order
count where they belong. One that is older than the watermark of its device goes to the side output `late`.

    every 10s, lateness 5s        10:00:10        10:00:20
    readings               a   c  b  |    d          |e
                    `last`, `mean`   *    given by e: its watermark, 10:00:16, has passed the grid time
                    `linear`         *    given by e: it has passed d, at 10:00:14, too

What is kept of a device are cells: stretches of `every` that have readings, each with the first and the last of them
by column, however many there are. Memory follows the most cells that were open at a time: those of `lateness + gap`. A
sum of readings beyond the largest float is infinite, and so is the `mean` that is made of it.

Example:
    steps:
      - resample: {every: 10s, how: linear, gap: 1m}
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from operators.base import Inputs, Operator, Outputs, Problem, Snapshot, SpecError, unfit
from operators.batch import MISSING_CODE, Batch, Schema, Type
from operators.clock import END, FORGET, NEVER
from operators.duration import UNITS, PositiveDuration, format_duration
from operators.fill import Bits, refuse_unknown
from operators.kernel import kernel
from operators.time import Instant

HOWS = ["last", "linear", "mean"]
LAST, LINEAR, MEAN = range(3)
STEPS = 10
"""The `gap`, in steps of the grid, where none is given."""
MOST_STEPS = 100_000
"""The largest `gap` in steps of the grid: one reading may cause so many rows."""
NONE = UNDECIDED = -1
"""No cell; what is found at a grid time while a reading to come could change it."""

# The arrays of a state hold times in us, and values bit by bit.
WATERMARK, CURSOR, HEAD, TAIL, TOLD = range(5)
"""By slot: its watermark, the first grid time not decided, its first and last cell (the last only where there is a
first), the watermark given out."""
AT, VALUE, AHEAD = range(3)
"""By slot and column: the latest reading that the cursor has passed, and (`linear`) the next cell that has one."""
GRID, NEXT, PREVIOUS = range(3)
"""By cell: the grid time at its end, the device's next cell (of a free one: the next free) and the one before."""
FIRST_AT, FIRST, LAST_AT, LATEST = range(4)
"""By cell and column: the first (`linear`) and the last reading in it."""
COUNT, TOTAL, LOST = range(3)
"""The same for `mean`: how many readings, their compensated sum, and what its additions lost."""


class Resample(Operator):
    """Put irregular readings onto a regular grid of times."""

    every: PositiveDuration = Field(description="From one grid time to the next, such as `10s`.")
    how: Literal["last", "linear", "mean"] = Field(description="How a value is made: `last`, `linear` or `mean`.")
    gap: PositiveDuration | None = Field(
        default=None,
        description="How old a value of `last` may be, how far apart the readings of `linear`; else 10 times `every`.",
    )
    columns: list[str] | None = Field(
        default=None,
        min_length=1,
        description="The columns that come out; else all for `last`, and those that are numbers otherwise.",
    )
    origin: Instant = Field(default=0, description="A grid time, such as `2026-01-05` or `2026-01-01T06:00Z`.")

    @model_validator(mode="after")
    def _gap_fits(self) -> Resample:
        if self.gap is not None and self.how == "mean":
            expected = "no `gap` with `how: mean`, which looks no further than `every`"
            raise unfit(expected, at="gap", fix="leave it out")
        if self.gap is not None and self.gap > MOST_STEPS * self.every:
            longest = f"at most {MOST_STEPS:,} times `every` ({format_duration(MOST_STEPS * self.every)})"
            expected = f"{longest}: one reading may cause as many rows"
            raise unfit(expected, at="gap", fix="a longer `every`, or a shorter `gap`")
        return self

    def outputs(self, schema: Schema) -> Mapping[str, Schema]:
        """Give a row a grid time, its columns float for `linear` and `mean`; late rows as they came, and by how much (s)."""
        types = self.types(schema)
        columns = types if self.how == "last" else dict.fromkeys(types, Type.FLOAT)
        time = schema.time or "at"
        if time in {*columns, *schema.device}:
            expected = f"no column named `{time}`, which the grid time is called here"
            raise SpecError([Problem((), expected, f"`{time}`", "rename it in the step before")])
        return {"": Schema(columns, schema.device, time), "late": schema.adding({"late_by": Type.FLOAT})}

    def types(self, schema: Schema) -> dict[str, Type]:
        """Give the columns to resample, with their types as they come in."""
        fine = {name: type_ for name, type_ in schema.columns.items() if self.how == "last" or type_.is_number}
        what = "a column" if self.how == "last" else f"a number column for `how: {self.how}`"
        refuse_unknown(self.columns, schema, fine, what)
        if not fine:
            given = ", ".join(f"{name} {type_}" for name, type_ in schema.columns.items()) or "none"
            fix = "`how: last` takes every column" if schema.columns else None
            raise SpecError([Problem(("how",), f"rows with {what}", given, fix)])
        return {name: type_ for name, type_ in fine.items() if self.columns is None or name in self.columns}

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> _State:
        """Make a state without readings, or go on from a snapshot."""
        return _State(self, inputs.schema, resume)

    def grid(self) -> tuple[int, int, int]:
        """Give `origin`, `every` and `gap`; us."""
        return self.origin, self.every, self.gap or STEPS * self.every

    def makes_rows(self) -> bool:
        """A row of the grid stands for several records."""
        return True

    def grain(self) -> int:
        """Rows are given at grid times."""
        return gcd(self.every, self.origin)

    def reach(self) -> int:
        """The last row is at most `gap` behind a reading, and waits for the watermark to pass that."""
        return self.every if self.how == "mean" else self.grid()[2] + 1


class _State:
    def __init__(self, spec: Resample, schema: Schema, resume: Snapshot | None) -> None:
        self._grid = np.array([HOWS.index(spec.how), *spec.grid()], np.int64)
        self._columns = Bits(spec.outputs(schema)[""].columns, resume or {})
        each = (len(self._columns.types), 1)
        unread = [0, 0, 0, 0] if spec.how == "mean" else [NEVER, MISSING_CODE, NEVER, MISSING_CODE]
        self._empty = {
            "slots": np.array([NEVER, NEVER, NONE, NONE, NEVER], np.int64),
            "known": np.tile(np.array([NEVER, MISSING_CODE, NONE], np.int64), each),
            "links": np.full(3, NONE, np.int64),
            "cells": np.tile(np.array(unread, np.int64), each),
        }
        """What the arrays hold of a slot or cell that isn't used; `_free` has the first such cell."""
        resume = resume or {name: np.empty((0, *one.shape), np.int64) for name, one in self._empty.items()}
        self._arrays = {name: resume[name].copy() for name in self._empty}
        self._free = resume.get("free", np.array([NONE])).copy()
        self._rows = np.empty((64, 5), np.int64)
        self._values = np.empty((64, len(self._columns.types)), np.int64)
        """Scratch for the rows given (slot, time, watermark, offset, whether it is live), and the bits of their values."""

    def on_batch(self, batch: Batch) -> Outputs:
        arrays, empty = self._arrays, self._empty
        self._add(("slots", "known"), int(batch.device.max(initial=0)) + 1 - len(arrays["slots"]))
        device, (bits, gone) = batch.device.astype(np.int64), self._columns.of(batch)
        late, at = np.zeros(len(batch), np.bool_), np.zeros(4, np.int64)
        while True:
            _resample(
                device, batch.ts, batch.watermark, batch.offset, batch.live, ~gone.all(axis=1), bits, gone, self._grid,
                self._columns.absent, empty["slots"], empty["known"], empty["cells"], arrays["slots"], arrays["known"],
                arrays["links"], arrays["cells"], self._free, self._rows, self._values, late, at,
            )  # fmt: skip
            if at[0] == len(batch):
                break
            if self._free[0] == NONE:
                self._free[0] = len(arrays["links"])
                self._add(("links", "cells"), 16)
                arrays["links"][self._free[0] : -1, NEXT] = np.arange(self._free[0] + 1, len(arrays["links"]))
            else:
                self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
                self._values = np.concatenate([self._values, np.empty_like(self._values)])
        slot, ts, watermark, offset, live = self._rows[: at[1]].T.copy()
        columns = self._columns.back(self._values[: at[1]])
        if len(self._rows) > 4 * len(batch) + 64:
            self._rows, self._values = self._rows[:64].copy(), self._values[:64].copy()
        self._columns.trim([arrays["known"][..., VALUE], arrays["cells"][..., LATEST]])
        missed = batch.take(late)
        return Outputs(
            Batch(slot.astype(np.uint32), ts, watermark, offset, live.astype(np.bool_), columns),
            {"late": missed.adding({"late_by": (missed.watermark - missed.ts) / UNITS["s"]})},
        )

    def snapshot(self) -> Snapshot:
        arrays = {**self._arrays, "free": self._free}
        return {**{name: array.copy() for name, array in arrays.items()}, **self._columns.texts.snapshot()}

    def _add(self, names: tuple[str, ...], more: int) -> None:
        """Make the arrays longer by so much, or by as much as they are long already."""
        for name in names if more > 0 else ():
            array, empty = self._arrays[name], self._empty[name]
            room = np.broadcast_to(empty, (max(more, len(array)), *empty.shape))
            self._arrays[name] = np.concatenate([array, room])


@kernel
def _resample(  # type: ignore[no-untyped-def]  # noqa: C901  # one walk over the rows
    device, ts, watermark, offset, live, some, bits, gone, grid, absent, new_slot, new_known, new_cell, slots, known,
    links, cells, free, rows, values, late, at,
):  # fmt: skip
    """Take in rows and give what their watermarks decide; stops where there is no free cell, or no room for a row.

    `at` says where to go on: the row, how many are given, how many were before this row, whether it is taken in.
    """
    numbers, totals = bits.view(np.float64), cells.view(np.float64)
    while at[0] < len(ts):
        row = at[0]
        slot, held = slots[device[row]], known[device[row]]
        if at[3] == 0:
            late[row] = live[row] and ts[row] < slot[WATERMARK]
            if live[row] and not late[row] and some[row]:
                if free[0] == NONE:
                    return
                cell = _cell(ts[row], grid, slot, links, free)
                _take(row, device[row], ts[row], cell, grid[0], bits, numbers, gone, known, links, cells, totals)
            slot[WATERMARK] = max(slot[WATERMARK], watermark[row])
            at[2], at[3] = at[1], 1
        if slot[WATERMARK] > max(slot[CURSOR], NEVER):
            _give(device[row], offset[row], slot, held, grid, absent, new_cell, links, cells, free, rows, values, at)
        if at[1] == len(rows):
            return
        # Rows still to come are of the cursor's grid time or of one behind it.
        horizon = slot[CURSOR] if NEVER < slot[WATERMARK] < END else min(slot[WATERMARK], FORGET)
        if at[1] > at[2] and horizon < FORGET:
            # The rows before the last keep their own time: with this one, those behind them would be late.
            rows[at[1] - 1, 2] = horizon
        elif late[row] or horizon > slot[TOLD]:
            rows[at[1]] = (device[row], horizon, horizon, offset[row], 0)
            _copy(absent, values[at[1]])
            at[1] += 1
        slot[TOLD] = horizon
        if horizon == FORGET:
            _copy(new_slot, slot)
            for column in range(len(new_known)):
                _copy(new_known[column], held[column])
        at[0], at[3] = row + 1, 0


@kernel
def _copy(source, target):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for at in range(len(source)):  # `target[:] = source` would allocate, in case that they overlap
        target[at] = source[at]


@kernel
def _ceil(time, grid):  # type: ignore[no-untyped-def]  # compiled
    """Give the first grid time that isn't before `time`."""
    return grid[1] - (grid[1] - time) // grid[2] * grid[2]


@kernel
def _cell(time, grid, slot, links, free):  # type: ignore[no-untyped-def]  # compiled
    """Find the cell of a time, from the newest on, or put a free one where it belongs."""
    end = _ceil(time, grid)
    before = NONE if slot[HEAD] == NONE else slot[TAIL]
    if before != NONE and end - links[slot[HEAD], GRID] < links[before, GRID] - end:  # nearer to the oldest
        ahead, before = slot[HEAD], NONE
        while links[ahead, GRID] <= end:
            before, ahead = ahead, links[ahead, NEXT]
    while before != NONE and links[before, GRID] > end:
        before = links[before, PREVIOUS]
    if before != NONE and links[before, GRID] == end:
        return before
    cell = free[0]
    free[0] = links[cell, NEXT]
    behind = slot[HEAD] if before == NONE else links[before, NEXT]
    links[cell] = (end, behind, before)
    if before == NONE:
        slot[HEAD] = cell
    else:
        links[before, NEXT] = cell
    if behind == NONE:
        slot[TAIL] = cell
    else:
        links[behind, PREVIOUS] = cell
    return cell


@kernel
def _take(row, slot, time, cell, how, bits, numbers, gone, known, links, cells, totals):  # type: ignore[no-untyped-def]  # compiled
    """Put the values of a row into its cell."""
    for column in range(gone.shape[1]):
        if gone[row, column]:
            continue
        if how == MEAN:
            value, before = numbers[row, column], totals[cell, column, TOTAL]
            after = before + value
            # Neumaier's sum, as in the aggregate `sum`: what the smaller of the two loses is kept apart.
            larger, smaller = (before, value) if abs(before) >= abs(value) else (value, before)
            totals[cell, column, LOST] += (larger - after) + smaller
            totals[cell, column, TOTAL] = after
            cells[cell, column, COUNT] += 1
            continue
        if how == LINEAR:
            if cells[cell, column, FIRST_AT] == NEVER or time <= cells[cell, column, FIRST_AT]:
                cells[cell, column, FIRST_AT], cells[cell, column, FIRST] = time, bits[row, column]
            ahead = known[slot, column, AHEAD]
            if ahead == NONE or links[ahead, GRID] > links[cell, GRID]:
                known[slot, column, AHEAD] = cell
        if time >= cells[cell, column, LAST_AT]:
            cells[cell, column, LAST_AT], cells[cell, column, LATEST] = time, bits[row, column]


@kernel
def _give(  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912  # one walk over the grid
    device, offset, slot, known, grid, absent, new_cell, links, cells, free, rows, values, at
):
    """Give the rows of a device that its watermark decides, as long as there is room, and move its cursor on."""
    how, frontier = grid[0], min(slot[WATERMARK], END)
    first = _ceil(frontier, grid)  # readings may still come for this grid time
    time = slot[CURSOR]
    if time == NEVER:
        time = first if slot[HEAD] == NONE else min(first, links[slot[HEAD], GRID])
    while time < frontier and at[1] < len(rows):
        cell = NONE if slot[HEAD] == NONE or links[slot[HEAD], GRID] > time else slot[HEAD]
        out = values[at[1]]
        if how == MEAN:
            further, found = False, _mean(cell, cells, out)
        else:
            _pass(cell, how, known, links, cells)
            if how == LAST:
                further, found = _last(time, grid, absent, known, out)
            else:
                further, found = _line(time, frontier, grid[3], known, cells, out)
        if cell != NONE:
            slot[HEAD] = links[cell, NEXT]
            if slot[HEAD] != NONE:
                links[slot[HEAD], PREVIOUS] = NONE
            for column in range(len(new_cell)):
                _copy(new_cell[column], cells[cell, column])
            links[cell, NEXT], free[0] = free[0], cell
        if found == UNDECIDED:
            break
        if found:
            rows[at[1]] = (device, time, time, offset, 1)
            at[1] += 1
        if further:
            time += grid[2]
        else:  # over a silence at once
            time = first if slot[HEAD] == NONE else min(first, links[slot[HEAD], GRID])
    slot[CURSOR] = time


@kernel
def _mean(cell, cells, out):  # type: ignore[no-untyped-def]  # compiled
    """Write the means of a cell; returns whether there is any."""
    numbers, totals = out.view(np.float64), cells.view(np.float64)
    found = 0
    for column in range(len(out)):
        numbers[column] = np.nan
        if cell != NONE and cells[cell, column, COUNT] > 0:
            total, lost = totals[cell, column, TOTAL], totals[cell, column, LOST]
            # Where a value was infinite there is nothing to compensate.
            numbers[column] = (total + lost if np.isfinite(total) else total) / cells[cell, column, COUNT]
        if not np.isnan(numbers[column]):
            found = 1
    return found


@kernel
def _pass(cell, how, known, links, cells):  # type: ignore[no-untyped-def]  # compiled
    """Keep the latest readings of a cell that the cursor has reached, and find the next cells that have any."""
    for column in range(len(known)):
        if cell == NONE or cells[cell, column, LAST_AT] == NEVER:
            continue
        known[column, AT], known[column, VALUE] = cells[cell, column, LAST_AT], cells[cell, column, LATEST]
        if how == LINEAR:
            # Each cell is walked over once for each column: the next walk begins where this one ends.
            ahead = links[cell, NEXT]
            while ahead != NONE and cells[ahead, column, LAST_AT] == NEVER:
                ahead = links[ahead, NEXT]
            known[column, AHEAD] = ahead


@kernel
def _last(time, grid, absent, known, out):  # type: ignore[no-untyped-def]  # compiled
    """Write the latest values at a grid time; returns whether there is any at the next, and whether at this one."""
    further, found = False, 0
    for column in range(len(out)):
        age = time - known[column, AT]
        out[column] = known[column, VALUE] if age <= grid[3] else absent[column]
        found = 1 if age <= grid[3] else found
        further = further or age + grid[2] <= grid[3]
    return further, found


@kernel
def _line(time, frontier, gap, known, cells, out):  # type: ignore[no-untyped-def]  # compiled
    """Write the values on the lines at a grid time.

    Returns whether there may be any before the next cell, and whether there is any at this time, or it isn't decided.
    """
    numbers, held, heads = out.view(np.float64), known.view(np.float64), cells.view(np.float64)
    further, found = False, 0
    for column in range(len(out)):
        numbers[column] = np.nan
        before, ahead, value = known[column, AT], known[column, AHEAD], held[column, VALUE]
        if before == NEVER:
            continue
        after = END if ahead == NONE else cells[ahead, column, FIRST_AT]
        # The reading after is final once the watermark has passed it: none can come before it or in its place.
        line = after < frontier and after - before <= gap
        awaited = after >= frontier and frontier - before <= gap
        further = further or line or awaited
        if before == time:
            numbers[column] = value
        elif awaited:
            return True, UNDECIDED
        elif line and np.isfinite(value) and np.isfinite(heads[ahead, column, FIRST]):
            end, share = heads[ahead, column, FIRST], (time - before) / (after - before)
            # Exact where both ends are equal; the other form can't overflow.
            straight = value + (end - value) * share
            numbers[column] = straight if np.isfinite(straight) else value * (1 - share) + end * share
        if not np.isnan(numbers[column]):
            found = 1
    return further, found
