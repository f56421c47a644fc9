"""Windows on a grid, from slices: each row goes into one slice, however many windows overlap there.

A slide is cut in two where it doesn't divide the size, so that windows begin and end where slices do (Krishnamurthy et
al., "On-the-fly sharing for streamed aggregation", SIGMOD 2006). A tumbling window is a slice. Windows that overlap are
put together from a queue of slices in two stacks (Tangwongsan et al., "Low-latency sliding-window aggregation in
worst-case constant time", DEBS 2017, section 2), which takes a few operations for each window, whatever its length:

    slices of a device      oldest . . . . . turned | . . . . . included | . . . newest
    what a slice's pane     all from it up to the   | its own rows       | its own rows
    holds                   turned one              | (and all of these  |
                                                    | in one pane, back) |

A window that closes at `end` includes the slices before it; it is its oldest slice's pane and the back together. When no
slice is turned and the oldest is to go, all that are included are turned around.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.base import Inputs, Snapshot
from operators.batch import Batch
from operators.clock import END, FORGET, NEVER
from operators.kernel import kernel
from operators.window.base import Plan, Window, WindowState

# What is kept of a device. What every row needs comes first, in one cache line: from when on and until when a row goes into
# the newest slice and nowhere else, that slice, the watermark at which the next window ends. Then the end of the last
# window closed, the oldest slice, how many are open, the pane with the rows before all windows that are open, the newest
# slice that is turned and that is included, the pane of those that are included and not turned, and the number of the
# stretch of `early` in which the newest `ts` lies.
_FROM, _TO, _NEWEST, _DUE, _CLOSED, _OLDEST, _OPEN, _BEFORE, _TURNED, _INCLUDED, _BACK, _STRETCH = range(12)
# What is kept of a slice: the time that it covers, its neighbours on the device's list, the stretch of `early` in which it
# last changed, and once it is turned the pane of all from it on: its own, unless what was in it alone is needed later.
_START, _UNTIL, _OLDER, _NEWER, _CHANGED, _ALL = range(6)
_FREE, _OPS, _GIVEN, _LATE, _RELEASED, _PARTLY = range(6)
_TAKEN, _CLOSING = 1, 2


class Slices(WindowState):
    """The state of windows `[origin + k * slide, origin + k * slide + size)`, or between the marks of a calendar."""

    def __init__(
        self,
        spec: Window,
        inputs: Inputs,
        grid: tuple[int, int, int, int],
        marks: NDArray[np.int64] | None = None,
        first: int | None = None,
        resume: Snapshot | None = None,
    ) -> None:
        """Make a state with no window open, or go on from a snapshot.

        Args:
            spec: the window.
            inputs: what it is built on.
            grid: origin, size, slide and early (0: none); us.
            marks: where windows begin, us, ascending, if not at regular intervals; the size is that of the windows
                before the first mark and behind the last then.
            first: where the first window begins; windows have no first if left out.
            resume: what `snapshot` gave.
        """
        origin, size, slide, early = grid
        self._closed = int(NEVER) if first is None else first + size - slide
        looks_back = any(call.aggregate.looks_back for call in spec.calls(inputs.schema).values())
        self._grid = np.array([origin, size, slide, size % slide or slide, early, looks_back, self._closed])
        self._marks = np.empty(0, np.int64) if marks is None else marks
        super().__init__(spec, inputs, resume)

    def empty_slot(self) -> NDArray[np.int64]:
        """Give what is kept of a device that was never seen."""
        due = NEVER if self._closed == NEVER else self._closed + self._grid[2]
        return np.array([0, 0, -1, due, self._closed, -1, 0, -1, -1, -1, -1, NEVER])

    def plan(self, batch: Batch, plan: Plan) -> None:
        """Go on over the rows until they end or the plan is full."""
        self.plan_rows(batch.device, batch.ts, batch.watermark, batch.live, plan)

    def plan_rows(
        self,
        device: NDArray[np.uint32],
        ts: NDArray[np.int64],
        watermark: NDArray[np.int64],
        live: NDArray[np.bool_],
        plan: Plan,
    ) -> None:
        """Go on over rows of these times."""
        panes = self.panes
        _plan(
            device, ts, watermark, live, self._grid, self._marks, panes.slots, panes.panes, panes.free,
            plan.at, plan.counts, plan.into, plan.of, plan.given, plan.late, plan.released,
        )  # fmt: skip


@kernel
def _plan(  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912, PLR0915  # compiled, and a call a row would cost too much
    device, ts, watermark, live, grid, marks, slots, panes, free, at, counts, into, of, given, late, released
):
    size, slide, early, looks_back = grid[1], grid[2], grid[4], grid[5] > 0
    row, done, ops = at[0], at[1], counts[_OPS]
    while row < len(ts):
        if ops + 2 >= len(into):
            break
        number = device[row]
        mark = watermark[row]
        if done == 0 and live[row]:
            time = ts[row]
            if slots[number, _FROM] <= time < slots[number, _TO]:
                into[ops], of[ops] = slots[number, _NEWEST], row
                ops += 1
            else:
                counts[_OPS] = ops
                slot = slots[number]
                if not _room(slot, size == slide, counts, into, given, released):
                    break
                begin, until, end = _slice(time, grid, marks)
                if begin < until and end <= slot[_CLOSED]:
                    n = counts[_LATE]
                    late[0, n], late[1, n], late[2, n] = row, end - (until - begin if len(marks) else size), end
                    counts[_LATE] += 1
                else:
                    if early > 0 and not _step_early(
                        row, time, mark, slot, grid, panes, free, at, counts, into, of, given, released
                    ):
                        ops = counts[_OPS]
                        break
                    if begin < until:  # not between two windows, where the slide is larger than the size
                        _take(row, begin, until, looks_back, slot, panes, free, counts, into, of)
                        _shorten(slot, early, size == slide, panes)
                ops = counts[_OPS]
        done = max(done, _TAKEN)
        if mark >= slots[number, _DUE] or mark >= FORGET:
            counts[_OPS] = ops
            slot = slots[number]
            full = False
            while slot[_OLDEST] >= 0:
                pane = slot[_OLDEST]
                start, end = panes[pane, _START], panes[pane, _UNTIL]
                if size != slide:
                    end = slot[_CLOSED] + slide
                    if start >= end or slot[_CLOSED] == NEVER:
                        end = _first_end(start, grid)
                    start = end - size
                if end > mark:
                    break
                full = not _room(slot, size == slide, counts, into, given, released)
                if full:
                    break
                if size == slide:
                    _give(row, pane, start, end, slot[_BEFORE], counts, given)
                    _drop(slot, looks_back, panes, free, counts, into, of, released)
                else:
                    _include(slot, end, panes, free, counts, into, of)
                    behind = panes[slot[_INCLUDED], _NEWER]
                    whole = _whole(slot[_OLDEST], behind, slot, panes, free, counts, into, of)
                    _give(row, whole, start, end, slot[_BEFORE], counts, given)
                    released[counts[_RELEASED]] = whole
                    counts[_RELEASED] += 1
                    while slot[_OLDEST] >= 0 and panes[slot[_OLDEST], _START] < start + slide:
                        _drop(slot, looks_back, panes, free, counts, into, of, released)
                slot[_CLOSED] = end
                done = _CLOSING
            ops = counts[_OPS]
            # Where a window was given there is room left: the last one must be here to carry the horizon.
            if full or (done != _CLOSING and not _room(slot, size == slide, counts, into, given, released)):
                break
            if size == slide:
                slot[_CLOSED], slot[_DUE], _ = _slice(mark, grid, marks)
            else:
                if done != _CLOSING or slot[_CLOSED] + slide <= mark:
                    slot[_CLOSED] = grid[0] + (mark - grid[0] - size) // slide * slide + size
                slot[_DUE] = slot[_CLOSED] + slide
            horizon = min(slot[_DUE] - 1, END)  # beyond it, it would say that the device is forgotten
            if mark >= FORGET:
                horizon = mark
                _forget(slot, grid, counts, released)
            if done != _CLOSING or mark >= FORGET:
                _give(row, -1, NEVER, horizon + 1, -1, counts, given)
            _shorten(slot, early, size == slide, panes)
            # The last row that a watermark closes carries the horizon; the ones before it must not, or it would be late.
            given[5, counts[_GIVEN] - 1] = horizon
        done = 0
        at[2] = NEVER
        row += 1
    at[0], at[1], counts[_OPS] = row, done, ops


@kernel
def _slice(time, grid, marks):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Find the slice in which a time falls, and the end of the last window that holds it. Between windows it is empty."""
    origin, size, slide, cut = grid[0], grid[1], grid[2], grid[3]
    if len(marks) and marks[0] <= time < marks[-1]:
        after = np.searchsorted(marks, time, "right")
        return marks[after - 1], marks[after], marks[after]
    if len(marks):
        origin = marks[0] if time < marks[0] else marks[-1]
    start = origin + (time - origin) // slide * slide
    if size < slide:
        if time - start >= size:
            return time, time, time
        return start, start + size, start + size
    if time - start >= cut:
        return start + cut, start + slide, start + size
    return start, start + cut, start + size


@kernel
def _first_end(begin, grid):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Find the end of the first window that holds the slice which begins there."""
    origin, size, slide = grid[0], grid[1], grid[2]
    return origin + ((begin - origin - size) // slide + 1) * slide + size


@kernel
def _room(slot, alone, counts, into, given, released):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Whether the plan has room for a row of the device, or for a window of it (`alone`: of one slice) that closes."""
    need = 8 if alone else 2 * slot[_OPEN] + 8
    return (
        counts[_FREE] >= need
        and counts[_OPS] + need < len(into)
        and counts[_GIVEN] + need < given.shape[1]
        and counts[_RELEASED] + need < len(released)
    )


@kernel
def _do(pane, what, counts, into, of):  # type: ignore[no-untyped-def]  # compiled: numba infers
    into[counts[_OPS]], of[counts[_OPS]] = pane, what
    counts[_OPS] += 1


@kernel
def _take(row, begin, until, looks_back, slot, panes, free, counts, into, of):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912  # one place for a row
    """Put a row into its slice, which is looked for from the newest on, and into all that holds the slice's rows too."""
    newer, pane = -1, slot[_NEWEST]
    while pane >= 0 and panes[pane, _START] > begin:
        newer, pane = pane, panes[pane, _OLDER]
    new = pane < 0 or panes[pane, _START] != begin
    if new:
        older = pane
        counts[_FREE] -= 1
        pane = free[counts[_FREE]]
        panes[pane, _START], panes[pane, _UNTIL], panes[pane, _ALL] = begin, until, pane
        panes[pane, _OLDER], panes[pane, _NEWER] = older, newer
        if older >= 0:
            panes[older, _NEWER] = pane
        else:
            slot[_OLDEST] = pane
        if newer >= 0:
            panes[newer, _OLDER] = pane
        else:
            slot[_NEWEST] = pane
        slot[_OPEN] += 1
    panes[pane, _CHANGED] = slot[_STRETCH]
    _do(pane, row, counts, into, of)
    if begin >= slot[_CLOSED]:
        return
    counts[_PARTLY] += 1
    # A window that has closed included the slice already, or would have: it is kept up to date wherever it is.
    if slot[_TURNED] >= 0 and begin <= panes[slot[_TURNED], _START]:
        if new:
            if looks_back:
                counts[_FREE] -= 1
                panes[pane, _ALL] = free[counts[_FREE]]
                _do(panes[pane, _ALL], row, counts, into, of)
            _do(panes[pane, _ALL], ~panes[newer, _ALL], counts, into, of)
        elif looks_back:
            _do(panes[pane, _ALL], row, counts, into, of)
        pane = panes[pane, _OLDER]
        while pane >= 0:
            _do(panes[pane, _ALL], row, counts, into, of)
            pane = panes[pane, _OLDER]
        return
    if slot[_INCLUDED] < 0 or begin > panes[slot[_INCLUDED], _START]:
        slot[_INCLUDED] = pane
    if slot[_BACK] < 0:
        counts[_FREE] -= 1
        slot[_BACK] = free[counts[_FREE]]
    _do(slot[_BACK], row, counts, into, of)


@kernel
def _shorten(slot, early, alone, panes):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Say for which rows the newest slice is all that there is to do."""
    pane = slot[_NEWEST]
    slot[_FROM], slot[_TO] = 0, 0
    if pane >= 0 and (alone or panes[pane, _START] >= slot[_CLOSED]):
        slot[_FROM], slot[_TO] = panes[pane, _START], panes[pane, _UNTIL]
        if early > 0:
            slot[_FROM] = max(slot[_FROM], slot[_STRETCH] * early)
            slot[_TO] = min(slot[_TO], (slot[_STRETCH] + 1) * early)


@kernel
def _include(slot, end, panes, free, counts, into, of):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Put the slices before the end of a window that weren't in one yet into the back."""
    pane = panes[slot[_INCLUDED], _NEWER] if slot[_INCLUDED] >= 0 else slot[_OLDEST]
    while pane >= 0 and panes[pane, _START] < end:
        if slot[_BACK] < 0:
            counts[_FREE] -= 1
            slot[_BACK] = free[counts[_FREE]]
        _do(slot[_BACK], ~pane, counts, into, of)
        slot[_INCLUDED] = pane
        pane = panes[pane, _NEWER]


@kernel
def _whole(pane, until, slot, panes, free, counts, into, of):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Put slices together in a pane of their own: from one on and before another (-1: all behind it)."""
    counts[_FREE] -= 1
    whole = free[counts[_FREE]]
    turned = slot[_TURNED] >= 0 and panes[pane, _START] <= panes[slot[_TURNED], _START]
    if turned:
        _do(whole, ~panes[pane, _ALL], counts, into, of)
    if slot[_BACK] >= 0 and (turned or pane == slot[_OLDEST]):
        _do(whole, ~slot[_BACK], counts, into, of)
        turned = True
    if turned:
        pane = panes[slot[_INCLUDED], _NEWER]
    while pane != until:
        _do(whole, ~pane, counts, into, of)
        pane = panes[pane, _NEWER]
    return whole


@kernel
def _drop(slot, looks_back, panes, free, counts, into, of, released):  # type: ignore[no-untyped-def]  # noqa: C901  # a queue's pop is one thing
    """Take the oldest slice off the device's list, and turn those that are included around where none is."""
    if slot[_TURNED] < 0 and slot[_INCLUDED] >= 0:
        pane = slot[_INCLUDED]
        if panes[pane, _OLDER] >= 0:
            newer = -1
            while pane >= 0:
                if looks_back:
                    counts[_FREE] -= 1
                    panes[pane, _ALL] = free[counts[_FREE]]
                    _do(panes[pane, _ALL], ~pane, counts, into, of)
                if newer >= 0:
                    _do(panes[pane, _ALL], ~panes[newer, _ALL], counts, into, of)
                newer, pane = pane, panes[pane, _OLDER]
        slot[_TURNED] = slot[_INCLUDED]
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
    if slot[_INCLUDED] == pane:
        slot[_INCLUDED] = -1
    slot[_OPEN] -= 1
    if panes[pane, _ALL] != pane:
        released[counts[_RELEASED]] = panes[pane, _ALL]
        counts[_RELEASED] += 1
    if looks_back:
        pane, slot[_BEFORE] = slot[_BEFORE], pane
    if pane >= 0:
        released[counts[_RELEASED]] = pane
        counts[_RELEASED] += 1


@kernel
def _forget(slot, grid, counts, released):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Make a slot whose windows are all closed as if it had never been used."""
    for kept in (_BEFORE, _BACK):
        if slot[kept] >= 0:
            released[counts[_RELEASED]] = slot[kept]
            counts[_RELEASED] += 1
    slot[_CLOSED], slot[_STRETCH] = grid[6], NEVER
    slot[_DUE] = NEVER if grid[6] == NEVER else grid[6] + grid[2]
    slot[_BEFORE], slot[_BACK] = -1, -1


@kernel
def _give(row, pane, start, end, before, counts, given):  # type: ignore[no-untyped-def]  # compiled: numba infers
    n = counts[_GIVEN]
    given[0, n], given[1, n], given[2, n], given[3, n], given[4, n] = pane, row, start, end, end - 1
    given[5, n], given[6, n], given[7, n], given[8, n] = end - 1, before, 1, end
    counts[_GIVEN] += 1


@kernel
def _step_early(row, time, mark, slot, grid, panes, free, at, counts, into, of, given, released):  # type: ignore[no-untyped-def]
    """Before a row that is the first in its stretch of `early`, give the windows that are open and have changed.

    Returns False if the plan hasn't room for all; `at[2]` holds the end of the last that was given then.
    """
    stretch = time // grid[4]
    if stretch > slot[_STRETCH]:
        if not _give_early(row, mark, stretch, slot, grid, panes, free, at, counts, into, of, given, released):
            return False
        slot[_STRETCH] = stretch
    return True


@kernel
def _give_early(row, mark, stretch, slot, grid, panes, free, at, counts, into, of, given, released):  # type: ignore[no-untyped-def]
    """Give the windows that are open, have changed, and that the row doesn't close."""
    origin, size, slide, early, looks_back = grid[0], grid[1], grid[2], grid[4], grid[5]
    reached = max(slot[_CLOSED], mark)
    first = origin + ((reached - origin - size) // slide + 1) * slide + size
    pane = slot[_OLDEST]
    while pane >= 0:
        if size == slide:
            start, end = panes[pane, _START], panes[pane, _UNTIL]
            skip = end <= max(reached, at[2])
        else:
            end = max(_first_end(panes[pane, _START], grid), first, at[2] + slide)
            start = end - size
            skip = panes[pane, _START] < start
        if skip:
            pane = panes[pane, _NEWER]
            continue
        changed, each = False, pane
        while each >= 0 and panes[each, _START] < end:
            changed |= panes[each, _CHANGED] == slot[_STRETCH]
            each = panes[each, _NEWER]
        if changed:
            if not _room(slot, size == slide, counts, into, given, released):
                return False
            before = slot[_BEFORE]
            if looks_back and panes[pane, _OLDER] >= 0:  # copied, for rows may still come into it
                counts[_FREE] -= 1
                before = free[counts[_FREE]]
                _do(before, ~panes[pane, _OLDER], counts, into, of)
                released[counts[_RELEASED]] = before
                counts[_RELEASED] += 1
            whole = _whole(pane, each, slot, panes, free, counts, into, of)
            released[counts[_RELEASED]] = whole
            counts[_RELEASED] += 1
            _give(row, whole, start, end, before, counts, given)
            n = counts[_GIVEN] - 1
            given[5, n] = NEVER if slot[_CLOSED] == NEVER else slot[_DUE] - 1
            given[7, n] = 0
            given[8, n] = min(end, stretch * early)
        at[2] = end
    return True
