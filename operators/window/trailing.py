"""For each row, statistics of its device's last minutes or last rows, as columns of the row itself.

With a duration, a row's statistics are of the device's rows so far with `newest - duration < ts <= newest`, itself
included, where `newest` is the device's latest event time. A row that comes out of order counts from then on; one that
is older than the whole window goes to the side output `late`. With `rows`, they are of the device's last rows in the
order of arrival, and nothing is late.

    trailing 10s        0s        10s       20s
    readings            a    b    c    d
    statistics at d               (c   d] : b is exactly 10s older, so it is just out

A row costs a few updates, however long the window: a queue from two stacks (Tangwongsan et al., "Low-latency
sliding-window aggregation in worst-case constant time", DEBS 2017, section 2). Memory follows the rows in the windows.

Example:
    steps:
      - window:
          trailing: 1m
          aggregate: {t_mean: mean(temperature), t_max: max(temperature)}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictInt, model_validator
from typing_extensions import Self

from operators.aggregate.base import Span
from operators.aggregate.call import Call, parse_calls
from operators.aggregate.max import Max
from operators.base import Inputs, Outputs, Snapshot, unfit
from operators.batch import Batch, Column, Schema, Type, missing
from operators.clock import FORGET, NEVER
from operators.duration import UNITS, PositiveDuration
from operators.kernel import kernel
from operators.window.base import BEFORE, OWN_TIME, PANE, ROW, START, UNTIL, Plan, Window, WindowState
from operators.window.panes import SLOT

_LATEST = ".max"
"""The aggregate of the rows' own times; no user's name begins so."""
# What is kept of a device: its newest and oldest row, the newest `ts`, how many rows there are, the newest row whose pane
# holds all up to it, and the pane of all rows behind that.
_NEWEST, _OLDEST, _SEEN, _COUNT, _TURNED, _BACK = range(6)
# What is kept of a row: its time, and its neighbours on the device's list.
_TS, _, _OLDER, _NEWER = range(4)
_FREE, _OPS, _GIVEN, _LATE, _RELEASED = range(5)


class Trailing(Window):
    """For each row, statistics of its device's last minutes or last rows, as columns of the row itself."""

    primary: ClassVar[str] = "duration"

    duration: PositiveDuration | None = Field(None, description="How far back the statistics reach, such as `1m`.")
    rows: StrictInt | None = Field(None, ge=1, description="Over how many rows they are, in place of a duration.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.duration is None) == (self.rows is None):
            expected = "either a duration or a number of rows"
            raise unfit(expected, fix="`trailing: 1m`, or `trailing: {rows: 100}`")
        return self

    def outputs(self, schema: Schema) -> Mapping[str, Schema]:
        """Give the rows with the aggregates as further columns; late rows with how far behind they came (s)."""
        results = {name: call.aggregate.result for name, call in self.calls(schema).items()}
        late = {} if self.duration is None else {"late": schema.adding({"late_by": Type.FLOAT})}
        return {"": schema.adding(results), **late}

    def makes_rows(self) -> bool:
        """Each row is one that came in."""
        return False

    def calls(self, schema: Schema) -> dict[str, Call]:
        """Read the aggregates; report all that are wrong at once."""
        return parse_calls(self.aggregate, schema, {*schema.names()}, ("aggregate",))

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> _State:
        """Make an empty state, or go on from a snapshot."""
        return _State(self, inputs, resume)


class _State(WindowState):
    def __init__(self, spec: Trailing, inputs: Inputs, resume: Snapshot | None) -> None:
        back = any(call.aggregate.looks_back for call in spec.calls(inputs.schema).values())
        self._latest = spec.rows is not None and back
        """Whether the latest time of a window's rows is kept: with `rows` it isn't always that of their device."""
        super().__init__(spec, inputs, resume)
        self._options = np.array([spec.duration or 0, spec.rows or 0])
        self._results = {name: call.aggregate.result for name, call in spec.calls(inputs.schema).items()}
        self._columns: dict[str, Column] = {}

    def calls(self, spec: Window, schema: Schema) -> dict[str, Call]:
        return {**spec.calls(schema), **({_LATEST: Call(Max(Type.TIME), OWN_TIME)} if self._latest else {})}

    def empty_slot(self) -> NDArray[np.int64]:
        return np.array([-1, -1, NEVER, 0, -1, -1, *[0] * (SLOT - 6)])

    def plan(self, batch: Batch, plan: Plan) -> None:
        panes = self.panes
        _plan(
            batch.device, batch.ts, batch.watermark, batch.live, self._options, panes.slots, panes.panes, panes.free,
            plan.at, plan.counts, plan.into, plan.of, plan.given, plan.late, plan.released,
        )  # fmt: skip

    def on_batch(self, batch: Batch) -> Outputs:
        self._columns = {name: missing(type_, len(batch)) for name, type_ in self._results.items()}
        return super().on_batch(batch.adding({OWN_TIME: batch.ts}) if self._latest else batch)

    def rows(self, batch: Batch, given: NDArray[np.int64]) -> Batch:
        span = Span(given[START], given[UNTIL], given[BEFORE])
        if self._latest:
            span = Span(given[START], np.asarray(self.panes.result(_LATEST, given[PANE], span)), given[BEFORE])
        for name, column in self._columns.items():
            np.asarray(column)[given[ROW]] = self.panes.result(name, given[PANE], span)
        return batch.take(np.empty(0, np.intp))

    def output(self, batch: Batch, given: list[Batch], late: NDArray[np.int64]) -> Outputs:  # noqa: ARG002  # nothing is given
        """Give the rows with their statistics."""
        live = batch.live.copy()
        live[late[0]] = False
        own = {name: column for name, column in batch.columns.items() if name != OWN_TIME}
        main = replace(batch, live=live, columns={**own, **self._columns})
        if not self._options[0]:
            return Outputs(main)
        missed = batch.take(late[0])
        return Outputs(main, {"late": missed.adding({"late_by": (late[2] - missed.ts) / UNITS["s"]})})


@kernel
def _plan(  # type: ignore[no-untyped-def]  # compiled: numba infers
    device, ts, watermark, live, options, slots, panes, free, at, counts, into, of, given, late, released
):
    duration, most = options[0], options[1]
    row = at[0]
    while row < len(ts):
        slot = slots[device[row]]
        time = ts[row]
        # As a rule a row is the newest, and at most turned ones go before it: that takes four operations.
        turned, need = slot[_TURNED], 4
        probe = slot[_OLDEST] if turned < 0 else turned
        if probe >= 0 and (
            (duration > 0 and (time < slot[_SEEN] or panes[probe, _TS] <= time - duration))
            or (most > 0 and turned < 0 and slot[_COUNT] >= most)
        ):
            need += slot[_COUNT]
        gone = max(counts[_GIVEN], counts[_RELEASED] + slot[_COUNT])
        if counts[_FREE] < 4 or counts[_OPS] + need > len(into) or gone + 4 > len(released):
            break
        if live[row]:
            newest = max(slot[_SEEN], time)
            horizon = newest - duration
            if duration > 0 and time <= horizon:
                n = counts[_LATE]
                late[0, n], late[1, n], late[2, n] = row, horizon, horizon
                counts[_LATE] += 1
            else:
                slot[_SEEN] = newest
                while slot[_OLDEST] >= 0 and (
                    (duration > 0 and panes[slot[_OLDEST], _TS] <= horizon) or (most > 0 and slot[_COUNT] >= most)
                ):
                    _drop_oldest(slot, panes, counts, into, of, released)
                _take(row, time, duration > 0, slot, panes, free, counts, into, of)
                _give(row, newest, slot, panes, free, counts, into, of, given, released)
        if watermark[row] >= FORGET:
            pane = slot[_OLDEST]
            while pane >= 0:
                released[counts[_RELEASED]] = pane
                counts[_RELEASED] += 1
                pane = panes[pane, _NEWER]
            if slot[_BACK] >= 0:
                released[counts[_RELEASED]] = slot[_BACK]
                counts[_RELEASED] += 1
            slot[_NEWEST], slot[_OLDEST], slot[_TURNED], slot[_BACK] = -1, -1, -1, -1
            slot[_COUNT], slot[_SEEN] = 0, NEVER
        row += 1
    at[0] = row


@kernel
def _do(pane, what, counts, into, of):  # type: ignore[no-untyped-def]  # compiled: numba infers
    into[counts[_OPS]], of[counts[_OPS]] = pane, what
    counts[_OPS] += 1


@kernel
def _drop_oldest(slot, panes, counts, into, of, released):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Take the oldest row out. Where no pane holds more than its own row, turn the queue around first.

    After that each row's pane holds the rows from it on up to the newest, and the pane of those behind is empty.
    """
    if slot[_TURNED] < 0:
        pane = panes[slot[_NEWEST], _OLDER]
        while pane >= 0:
            _do(pane, ~panes[pane, _NEWER], counts, into, of)
            pane = panes[pane, _OLDER]
        slot[_TURNED] = slot[_NEWEST]
        released[counts[_RELEASED]] = slot[_BACK]
        counts[_RELEASED] += 1
        slot[_BACK] = -1
    pane = slot[_OLDEST]
    newer = panes[pane, _NEWER]
    slot[_OLDEST] = newer
    if newer >= 0:
        panes[newer, _OLDER] = -1
    else:
        slot[_NEWEST] = -1
    if slot[_TURNED] == pane:
        slot[_TURNED] = -1
    slot[_COUNT] -= 1
    released[counts[_RELEASED]] = pane
    counts[_RELEASED] += 1


@kernel
def _take(row, time, by_time, slot, panes, free, counts, into, of):  # type: ignore[no-untyped-def]  # compiled
    """Put a row into the queue: as its newest, or by its time where it comes out of order."""
    counts[_FREE] -= 1
    new = free[counts[_FREE]]
    newer, older = -1, slot[_NEWEST]
    turned = False
    while by_time and older >= 0 and panes[older, _TS] > time:
        turned |= older == slot[_TURNED]
        newer, older = older, panes[older, _OLDER]
    panes[new, _TS], panes[new, _OLDER], panes[new, _NEWER] = time, older, newer
    if older >= 0:
        panes[older, _NEWER] = new
    else:
        slot[_OLDEST] = new
    if newer >= 0:
        panes[newer, _OLDER] = new
    else:
        slot[_NEWEST] = new
    slot[_COUNT] += 1
    _do(new, row, counts, into, of)
    if turned:  # among the rows whose panes hold all up to the newest of them
        _do(new, ~newer, counts, into, of)
        while older >= 0:
            _do(older, row, counts, into, of)
            older = panes[older, _OLDER]
        return
    if slot[_BACK] < 0:
        counts[_FREE] -= 1
        slot[_BACK] = free[counts[_FREE]]
    _do(slot[_BACK], row, counts, into, of)


@kernel
def _give(row, newest, slot, panes, free, counts, into, of, given, released):  # type: ignore[no-untyped-def]  # compiled
    """Put the two halves of the queue together for a row."""
    counts[_FREE] -= 1
    whole = free[counts[_FREE]]
    if slot[_TURNED] >= 0:
        _do(whole, ~slot[_OLDEST], counts, into, of)
    if slot[_BACK] >= 0:
        _do(whole, ~slot[_BACK], counts, into, of)
    n = counts[_GIVEN]
    given[0, n], given[1, n], given[2, n], given[6, n], given[8, n] = whole, row, panes[slot[_OLDEST], _TS], -1, newest
    counts[_GIVEN] += 1
    released[counts[_RELEASED]] = whole
    counts[_RELEASED] += 1
