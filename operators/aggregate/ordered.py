"""What the aggregates share that go from reading to reading: `integral`, `time_weighted_mean`, `time_in`, `rate`.

Readings are taken in order of event time, and each holds until the next one ("last observation carried forward"). In
a tumbling or hopping window the last one holds to the window's end, and the reading before the window holds from the
window's start to its first reading. So what windows cover adds up:

    window               [0s                 10s)                 20s)
    readings          2  |   5         3      |       4            |
    what holds        2--|2--5---------3------|3------4------------|

The reading before the window is looked for in the newest slice that lies before it: a tumbling window's slice is the
last window that had rows; a reading further back isn't looked for, nor one between hopping windows that leave gaps.
Where there is none, time before the first reading doesn't count. In other windows no time counts before the first
reading and behind the last row.

A pane keeps its newest 16 readings apart, in order; older ones are settled. So readings may come out of order, in any
way, as long as none comes behind more than 16 newer ones of its window. One that does may be left out of these
aggregates: it is if it is older than the last that is settled in its pane. Of equal times the one that came first is
the earlier. Windows by number of rows (`count`, and `trailing` with `rows`) put panes together in order of arrival;
where such panes overlap in time, readings that lie among settled ones of another are left out: in windows of more than
16 rows one may be that is out of order by a single place. Results are those of the readings that aren't.

A pane takes 328 bytes, shared by all four where they are of the same column. Sums are compensated, as in
`sum`; the error of an addition is that of Knuth ("The art of computer programming" 2, 4.2.2).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.aggregate.base import Aggregate, Arrays, Into, Of, Panes, Span, Times, Values
from operators.batch import Type
from operators.kernel import kernel

LATE = 16
"""How many readings are kept apart: a power of two."""
# Of `ring`: whether anything is settled; where the oldest reading kept apart is; how many are. If any is settled, all
# places are taken.
_SETTLED, _HEAD, _HELD = range(3)
# Of `times` and `values`: the first and last reading that is settled.
_FIRST, _LAST = range(2)
# Of `sums`: value x us, and the increases, each with what its additions lost; both in units of 2**64.
_AREA, _AREA_LOST, _RISE, _RISE_LOST = range(4)
# The largest value over the longest time doesn't overflow in these units: only a result that does is infinite.
_SCALE = 2.0**-64
# Of what is found of a window: value x us, and how long that covers (us); the increases, and the time from the reading
# before or the first to the last (us); the last value.
AREA, COVERED, RISE, PASSED, LAST = range(5)


class InOrder(Aggregate):
    """An aggregate that goes from reading to reading in order of event time; float."""

    looks_back = True
    result = Type.FLOAT

    def __init__(self, column: Type | None, number: float | None = None) -> None:
        """Keep what is settled, and the newest readings apart."""
        super().__init__(column, number)
        # Values stay what they are: the increase of a large int is exact.
        value = np.float64 if column is Type.FLOAT else np.int64
        self.fields: dict[str, tuple[Any, Any]] = {
            "ring": ((np.int8, (3,)), 0),
            "sums": ((np.float64, (4,)), 0.0),
            "times": ((np.int64, (2,)), 0),
            "values": ((value, (2,)), 0),
            "late_times": ((np.int64, (LATE,)), 0),
            "late_values": ((value, (LATE,)), 0),
        }

    def update(self, arrays: Arrays, into: Into, of: Of, ts: Times, values: Values) -> None:
        """Put readings in their places, and panes behind each other."""
        _take(into, of, ts, values, *_own(arrays))


def found(arrays: Arrays, pane: Panes, span: Span) -> NDArray[np.float64]:
    """Find what panes hold: float64 (5, panes), NaN where there are no values.

    Rows are `AREA` (value x us), `COVERED` (us), `RISE`, `PASSED` (us), `LAST`; `AREA` and `RISE` in units of 2**64.
    """
    out = np.empty((5, len(pane)))
    _find(pane, span.start, span.end, span.before, out, *_own(arrays))
    return out


def _own(arrays: Arrays) -> tuple[NDArray[Any], ...]:
    return tuple(arrays[name] for name in ("ring", "sums", "times", "values", "late_times", "late_values"))


def unscaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give values that are in units of 2**64; one that is too large is infinite."""
    with np.errstate(over="ignore"):
        return values / _SCALE


@kernel
def _plus(total, lost, value):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Add to a sum; what the addition loses is kept apart."""
    # Without asking which of the two is the smaller: the branch would be mispredicted every other time.
    after = total + value
    added = after - total
    return after, lost + ((total - (after - added)) + (value - added))


@kernel
def _held(value, us):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Give value x time; an infinite value that holds for no time is nothing."""
    area = float(value) * _SCALE * float(us)
    return area if us != 0 else 0.0


@kernel
def _increase(value, before):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Give by how much a counter has increased; where it has decreased it began again at zero."""
    old = before if value >= before else 0
    # Of the same sign, the difference fits, and that of ints is exact.
    exact, rough = float(value - old) * _SCALE, float(value) * _SCALE - float(old) * _SCALE
    rise = exact if (value < 0) == (old < 0) else rough
    return rise if value != old else 0.0


@kernel
def _settle(pane, time, value, ring, sums, times, values):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Put a reading behind what is settled."""
    if ring[pane, _SETTLED]:
        area = _held(values[pane, _LAST], time - times[pane, _LAST])
        rise = _increase(value, values[pane, _LAST])
        sums[pane, _AREA], sums[pane, _AREA_LOST] = _plus(sums[pane, _AREA], sums[pane, _AREA_LOST], area)
        sums[pane, _RISE], sums[pane, _RISE_LOST] = _plus(sums[pane, _RISE], sums[pane, _RISE_LOST], rise)
    else:
        ring[pane, _SETTLED] = 1
        times[pane, _FIRST], values[pane, _FIRST] = time, value
    times[pane, _LAST], values[pane, _LAST] = time, value


@kernel
def _append(pane, source, ring, sums, times, values, late_times, late_values):  # type: ignore[no-untyped-def]  # compiled
    """Put what is settled in a pane behind what is settled in another, and that behind what it keeps apart."""
    first, last = times[source, _FIRST], times[source, _LAST]
    if ring[pane, _SETTLED] and times[pane, _LAST] > first:
        return
    while ring[pane, _HELD] > 0:
        at = ring[pane, _HEAD]
        time = late_times[pane, at]
        if time > first and time >= last:
            break
        if time <= first:
            _settle(pane, time, late_values[pane, at], ring, sums, times, values)
        ring[pane, _HEAD] = (at + 1) & (LATE - 1)
        ring[pane, _HELD] -= 1
    _settle(pane, first, values[source, _FIRST], ring, sums, times, values)
    times[pane, _LAST], values[pane, _LAST] = last, values[source, _LAST]
    for total, lost in ((_AREA, _AREA_LOST), (_RISE, _RISE_LOST)):
        before = sums[pane, lost] + sums[source, lost]
        sums[pane, total], sums[pane, lost] = _plus(sums[pane, total], before, sums[source, total])


@kernel
def _take(  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912  # compiled, and a call a reading would double its cost
    into, of, ts, numbers, ring, sums, times, values, late_times, late_values
):
    for op in range(len(into)):
        pane, what = into[op], of[op]
        if pane < 0:
            continue
        readings = 1
        if what < 0:
            readings = ring[~what, _HELD]
            if ring[~what, _SETTLED]:
                _append(pane, ~what, ring, sums, times, values, late_times, late_values)
        for reading in range(readings):
            if what >= 0:
                time, value = ts[what], numbers[what]
            else:
                at = (ring[~what, _HEAD] + reading) & (LATE - 1)
                time, value = late_times[~what, at], late_values[~what, at]
            settled = ring[pane, _SETTLED]
            last_time, last = times[pane, _LAST], values[pane, _LAST]
            if settled and time < last_time:
                continue  # too late
            head, held = ring[pane, _HEAD], ring[pane, _HELD]
            if held == LATE:  # the oldest is settled, be it this one
                old_time, old = late_times[pane, head], late_values[pane, head]
                early = time < old_time
                if early:
                    old_time, old = time, value
                if settled:
                    area = _held(last, old_time - last_time)
                    rise = _increase(old, last)
                    sums[pane, _AREA], sums[pane, _AREA_LOST] = _plus(sums[pane, _AREA], sums[pane, _AREA_LOST], area)
                    sums[pane, _RISE], sums[pane, _RISE_LOST] = _plus(sums[pane, _RISE], sums[pane, _RISE_LOST], rise)
                else:
                    ring[pane, _SETTLED] = 1
                    times[pane, _FIRST], values[pane, _FIRST] = old_time, old
                times[pane, _LAST], values[pane, _LAST] = old_time, old
                if early:
                    continue
                head = (head + 1) & (LATE - 1)
                held -= 1
                ring[pane, _HEAD] = head
            place = held  # behind equal times
            while place > 0:
                older = (head + place - 1) & (LATE - 1)
                if late_times[pane, older] <= time:
                    break
                at = (head + place) & (LATE - 1)
                late_times[pane, at], late_values[pane, at] = late_times[pane, older], late_values[pane, older]
                place -= 1
            at = (head + place) & (LATE - 1)
            late_times[pane, at], late_values[pane, at] = time, value
            ring[pane, _HELD] = held + 1


@kernel
def _find(panes, start, end, before, out, ring, sums, times, values, late_times, late_values):  # type: ignore[no-untyped-def]  # compiled
    for n in range(len(panes)):
        pane, back = panes[n], before[n]
        if pane < 0 or ring[pane, _HELD] == 0:
            out[:, n] = np.nan
            continue
        area, area_lost = sums[pane, _AREA], sums[pane, _AREA_LOST]
        rise, rise_lost = sums[pane, _RISE], sums[pane, _RISE_LOST]
        time, value = late_times[pane, ring[pane, _HEAD]], late_values[pane, ring[pane, _HEAD]]
        if ring[pane, _SETTLED]:
            time, value = times[pane, _FIRST], values[pane, _FIRST]
        since = begun = time
        if back >= 0 and ring[back, _HELD] > 0:
            last = (ring[back, _HEAD] + ring[back, _HELD] - 1) & (LATE - 1)
            if late_times[back, last] <= time:
                begun, since = late_times[back, last], start[n]
                area, area_lost = _plus(area, area_lost, _held(late_values[back, last], time - since))
                rise, rise_lost = _plus(rise, rise_lost, _increase(value, late_values[back, last]))
        if ring[pane, _SETTLED]:
            time, value = times[pane, _LAST], values[pane, _LAST]
        for place in range(ring[pane, _HELD]):
            at = (ring[pane, _HEAD] + place) & (LATE - 1)
            area, area_lost = _plus(area, area_lost, _held(value, late_times[pane, at] - time))
            rise, rise_lost = _plus(rise, rise_lost, _increase(late_values[pane, at], value))
            time, value = late_times[pane, at], late_values[pane, at]
        area, area_lost = _plus(area, area_lost, _held(value, end[n] - time))
        # Where a value was infinite there is nothing to compensate.
        out[AREA, n] = area + area_lost if math.isfinite(area) else area
        out[RISE, n] = rise + rise_lost if math.isfinite(rise) else rise
        out[COVERED, n] = end[n] - since
        out[PASSED, n] = time - begun
        out[LAST, n] = value
