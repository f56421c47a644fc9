"""Windows of activity: a device's rows that follow each other at most `gap` apart.

A session begins with its first row and ends `gap` behind its last; two rows exactly `gap` apart share one. It closes
when the device's watermark has passed its end. A row that comes out of order may join two sessions into one; a row that
joins none and whose own session would have closed goes to the side output `late`.

    gap 10s, lateness 30s     0s        10s       20s       30s       40s
    readings                  a   b               c         d
                              [a  b ------)       [c ------ d --------)
    then x, out of order               x
                              [a  b    x          c ------- d --------)

With `longest`, a row that would make a session longer than this from its first row to its last begins another. Such
sessions may be less than `gap` apart; a row between them goes into the older one that has room for it.
`window_start` is the time of the first row, `window_end` that of the last plus `gap`.

Example:
    steps:
      - window:
          session: 1m
          aggregate: {t_max: max(temperature), n: count()}
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from operators.base import Inputs, Snapshot
from operators.batch import Batch
from operators.clock import END, FORGET, NEVER
from operators.duration import LONGEST, PositiveDuration
from operators.kernel import kernel
from operators.window.base import EarlyWindow, Plan, WindowState
from operators.window.panes import SLOT

# What is kept of a device: its newest and oldest session, from when on a row joins the newest and nothing else, the watermark
# up to which nothing happens, the highest watermark put out, the stretch of `gap` in which its watermark lies and that of
# `early` in which its newest `ts` lies, and how many sessions are open.
_NEWEST, _OLDEST, _FROM, _DUE, _TOLD, _REACHED, _STRETCH, _OPEN = range(8)
# What is kept of a session: the times of its first and last row, its neighbours on the device's list, and the stretch
# of `early` in which it last changed.
_START, _LAST, _OLDER, _NEWER, _CHANGED = range(5)
_FREE, _OPS, _GIVEN, _LATE, _RELEASED = range(5)


class Session(EarlyWindow):
    """Windows of activity: rows that follow each other at most `gap` apart."""

    primary: ClassVar[str] = "gap"

    gap: PositiveDuration = Field(description="How long a device must be silent for a session to end.")
    longest: PositiveDuration | None = Field(
        None, description="How long a session may be from its first row to its last; a row behind that begins another."
    )

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> _State:
        """Make a state with no session open, or go on from a snapshot."""
        return _State(self, inputs, resume)

    def reach(self) -> int:
        """A session is over when the watermark has passed the gap behind its last row."""
        return self.gap + 1

    def grain(self) -> int:
        """A session may end at any time; a quarter of the gap later is soon enough."""
        return max(self.gap // 4, 1)


class _State(WindowState):
    def __init__(self, spec: Session, inputs: Inputs, resume: Snapshot | None) -> None:
        super().__init__(spec, inputs, resume)
        self._options = np.array([spec.gap, spec.longest or 2 * LONGEST, spec.early or 0])

    def empty_slot(self) -> NDArray[np.int64]:
        return np.array([-1, -1, -NEVER, NEVER, NEVER, NEVER, NEVER, 0, *[0] * (SLOT - 8)])

    def plan(self, batch: Batch, plan: Plan) -> None:
        panes = self.panes
        _plan(
            batch.device, batch.ts, batch.watermark, batch.live, self._options, panes.slots, panes.panes, panes.free,
            plan.at, plan.counts, plan.into, plan.of, plan.given, plan.late, plan.released,
        )  # fmt: skip


@kernel
def _plan(  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912, PLR0915  # compiled, and a call a row would cost too much
    device, ts, watermark, live, options, slots, panes, free, at, counts, into, of, given, late, released
):
    gap, longest, early = options[0], options[1], options[2]
    row, ops = at[0], counts[_OPS]
    while row < len(ts):
        if ops + 2 >= len(into):
            break
        number = device[row]
        mark, time = watermark[row], ts[row]
        if live[row] and slots[number, _FROM] <= time and mark <= slots[number, _DUE]:
            pane = slots[number, _NEWEST]
            if time <= panes[pane, _LAST] + gap and time - panes[pane, _START] <= longest:
                into[ops], of[ops] = pane, row
                ops += 1
                panes[pane, _LAST] = max(panes[pane, _LAST], time)
                row += 1
                continue
        counts[_OPS] = ops
        slot = slots[number]
        need = 2 * slot[_OPEN] + 8
        most = max(ops, counts[_GIVEN], counts[_RELEASED])
        if counts[_FREE] < need or most + need > min(len(into), given.shape[1], len(released)):
            break
        if live[row]:
            pane, neighbour = _find(time, slot, gap, longest, panes)
            if pane < 0 and time + gap < mark:
                n = counts[_LATE]
                late[0, n], late[1, n], late[2, n] = row, time, time + gap
                counts[_LATE] += 1
            else:
                if early > 0 and time // early > slot[_STRETCH]:
                    _give_early(row, mark, slot, gap, panes, free, counts, into, of, given, released)
                    slot[_STRETCH] = time // early
                _take(row, time, pane, neighbour, slot, panes, free, counts, into, of, released)
        closed = 0
        while slot[_OLDEST] >= 0 and panes[slot[_OLDEST], _LAST] + gap < mark:
            pane = slot[_OLDEST]
            _give(row, pane, gap, panes, counts, given)
            _unlink(pane, slot, panes)
            released[counts[_RELEASED]] = pane
            counts[_RELEASED] += 1
            closed += 1
        told = mark if mark >= END else mark - 1
        if mark >= FORGET or (closed == 0 and (slot[_TOLD] == NEVER or mark // gap > slot[_REACHED])):
            n = counts[_GIVEN]
            given[:, n] = 0
            given[0, n], given[1, n], given[4, n], given[5, n], given[6, n] = -1, row, told, told, -1
            counts[_GIVEN] += 1
            slot[_TOLD] = told
        elif closed > 0:
            given[5, counts[_GIVEN] - 1] = told
            slot[_TOLD] = told
        slot[_REACHED] = max(slot[_REACHED], mark // gap)
        if mark >= FORGET:
            slot[_TOLD], slot[_REACHED], slot[_STRETCH] = NEVER, NEVER, NEVER
        _shorten(slot, gap, early, panes)
        ops = counts[_OPS]
        row += 1
    at[0], counts[_OPS] = row, ops


@kernel
def _shorten(slot, gap, early, panes):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Say for which rows the newest session is all that there is to do."""
    newest, oldest = slot[_NEWEST], slot[_OLDEST]
    slot[_FROM], slot[_DUE] = -NEVER, NEVER
    if newest >= 0 and early == 0:
        slot[_FROM] = panes[newest, _START]
        older = panes[newest, _OLDER]
        if older >= 0:
            slot[_FROM] = max(slot[_FROM], panes[older, _LAST] + gap + 1)
        slot[_DUE] = min(panes[oldest, _LAST] + gap, (slot[_REACHED] + 1) * gap - 1)


@kernel
def _take(row, time, pane, neighbour, slot, panes, free, counts, into, of, released):  # type: ignore[no-untyped-def]
    """Put a row into a session (-1: a new one), which then takes its neighbour in."""
    if pane < 0:
        counts[_FREE] -= 1
        pane = free[counts[_FREE]]
        _insert(pane, time, slot, panes)
    n = counts[_OPS]
    into[n], of[n] = pane, row
    counts[_OPS] += 1
    panes[pane, _START] = min(panes[pane, _START], time)
    panes[pane, _LAST] = max(panes[pane, _LAST], time)
    panes[pane, _CHANGED] = slot[_STRETCH]
    if neighbour >= 0:
        into[n + 1], of[n + 1] = pane, ~neighbour
        counts[_OPS] += 1
        panes[pane, _LAST] = panes[neighbour, _LAST]
        _unlink(neighbour, slot, panes)
        released[counts[_RELEASED]] = neighbour
        counts[_RELEASED] += 1


@kernel
def _find(time, slot, gap, longest, panes):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Find the session that a time joins, and the next newer one if the two become one; -1 for none."""
    pane = slot[_NEWEST]
    while pane >= 0 and panes[pane, _START] - gap > time:
        pane = panes[pane, _OLDER]
    if pane < 0 or panes[pane, _LAST] + gap < time:
        return -1, -1
    while True:
        if panes[pane, _START] <= time <= panes[pane, _LAST]:  # whatever is near besides: sessions don't overlap
            return pane, -1
        older = panes[pane, _OLDER]
        if older < 0 or panes[older, _LAST] + gap < time:
            break
        pane = older
    while pane >= 0 and panes[pane, _START] - gap <= time:
        newer = panes[pane, _NEWER]
        if max(panes[pane, _LAST], time) - min(panes[pane, _START], time) <= longest:
            near = newer >= 0 and panes[newer, _START] - gap <= time
            if near and panes[newer, _LAST] - panes[pane, _START] <= longest:
                return pane, newer
            return pane, -1
        pane = newer
    return -1, -1


@kernel
def _insert(pane, time, slot, panes):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Put a new session onto the device's list."""
    newer, older = -1, slot[_NEWEST]
    while older >= 0 and panes[older, _START] > time:
        newer, older = older, panes[older, _OLDER]
    panes[pane, _START], panes[pane, _LAST] = time, time
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


@kernel
def _unlink(pane, slot, panes):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Take a session off the device's list."""
    older, newer = panes[pane, _OLDER], panes[pane, _NEWER]
    if older >= 0:
        panes[older, _NEWER] = newer
    else:
        slot[_OLDEST] = newer
    if newer >= 0:
        panes[newer, _OLDER] = older
    else:
        slot[_NEWEST] = older
    slot[_OPEN] -= 1


@kernel
def _give(row, pane, gap, panes, counts, given):  # type: ignore[no-untyped-def]  # compiled: numba infers
    start, last = panes[pane, _START], panes[pane, _LAST]
    n = counts[_GIVEN]
    given[0, n], given[1, n], given[2, n], given[3, n] = pane, row, start, last + gap
    given[4, n], given[5, n] = last + gap - 1, last + gap - 1
    given[6, n], given[7, n], given[8, n] = -1, 1, last
    counts[_GIVEN] += 1


@kernel
def _give_early(row, mark, slot, gap, panes, free, counts, into, of, given, released):  # type: ignore[no-untyped-def]
    """Give copies of the open sessions that have changed and that the row doesn't close."""
    pane = slot[_OLDEST]
    while pane >= 0:
        if panes[pane, _CHANGED] == slot[_STRETCH] and panes[pane, _LAST] + gap >= mark:
            counts[_FREE] -= 1
            copy = free[counts[_FREE]]
            n = counts[_OPS]
            into[n], of[n] = copy, ~pane
            counts[_OPS] += 1
            _give(row, pane, gap, panes, counts, given)
            n = counts[_GIVEN] - 1
            given[0, n], given[5, n], given[7, n] = copy, slot[_TOLD], 0
            released[counts[_RELEASED]] = copy
            counts[_RELEASED] += 1
        pane = panes[pane, _NEWER]
