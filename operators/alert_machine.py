"""The state machine of `alert`: what is kept of a device, and what a reading makes of it.

A condition comes and goes for itself; what is told of it, an alert, follows by rules of its own. Mostly the two are one: an
alert is open while its condition is on. A cooldown lets a condition go on without an alert, and an alert that flaps stays
open while its condition goes off and on. Silence is a third thing: a device may be missing while an alert of it is open.
"""

from __future__ import annotations

import numpy as np

from operators.clock import END, FORGET, NEVER
from operators.kernel import kernel

# What is kept of a device, apart from the rest because most readings need no more.
NEWEST, BUSY = range(2)
"""The newest `ts`; 1 while `raise` holds or an alert is open."""
NEW_HEAD = np.array([NEVER, 0])
"""The same of a device that was never seen."""
ON, OPEN, HELD, SINCE, OFFSET, BEFORE, COUNT, PEAK, CLEARED, FLAPS = range(10)
"""1 while the condition is on; the level of the open alert, 0 without one; since when `raise` holds (`NEVER`: it doesn't).
Of the alert, or of the condition while there is none: since when, since which offset, and how often one had begun at that
offset before; for how many readings `raise` held; the bits of the largest score. When the last one was cleared; 1 where
the open one flaps."""
NEW = np.array([0, 0, NEVER, NEVER, NEVER, 0, 0, np.float64(np.nan).view(np.int64), NEVER, 0])
HEARD, MISSED, QUIET, LAST, AGAIN, BACK = range(6)
"""For `missing`: the offset of the newest reading; since when the device is missing (`NEVER`: it isn't), what the newest `ts`
was then; the offset in the id of its last silence, and how often that was in one before; when it was last back."""
NEW_SILENCE = np.array([NEVER, NEVER, NEVER, NEVER, 0, NEVER])

# What happens: a row of the table of events each.
ROW, AT, STATE, REASON, LEVEL, BEGAN, FROM, NUMBER, READINGS, LARGEST = range(10)
"""The row in the batch, its time; state, reason and level; what the id is made of: since when, since which offset, how often
before (below 0 for a silence); for how many readings `raise` held, and the bits of the largest score."""
RAISED, ESCALATED, CLEARED_STATE = range(3)
STATES = ["raised", "escalated", "cleared"]
CONDITION, MISSING, FLAPPING = range(3)
REASONS = ["condition", "missing", "flapping"]
FOR, COOLDOWN, SILENCE, WITHIN = range(4)
"""Options, us; 0 where not given."""


@kernel
def follow(  # type: ignore[no-untyped-def]  # noqa: ANN201  # compiled: numba infers
    device, ts, watermark, offset, live, ok, raises, clears, level, score, options, heads, slots, changes, silences, events,
    late,
):  # fmt: skip
    """Follow a batch row by row; gives how many events there were, and how many rows that are older than their device's newest.

    `ok` is False for rows that can't be judged. `level` is empty where there is one level, `score` where there is none,
    `changes` and `silences` where nothing flaps or is missing.
    """
    n, n_late = 0, 0
    silence = options[SILENCE]
    for row in range(len(ts)):
        number = device[row]
        if watermark[row] >= FORGET:
            _forget(number, heads, slots, changes, silences)
        if not live[row]:
            if silence > 0:
                n = _miss(
                    row, number, min(ts[row], watermark[row]), heads[number, NEWEST], options, silences, events, n
                )
            continue
        if not ok[row]:
            continue
        time = ts[row]
        if time < heads[number, NEWEST]:
            late[n_late] = row
            n_late += 1
            continue
        heads[number, NEWEST] = time
        if silence > 0:
            if silences[number, MISSED] != NEVER:
                n = _return(row, number, time, silences, events, n)
            silences[number, HEARD] = offset[row]
        if raises[row] or heads[number, BUSY] == 1:
            n = _judge(
                row,
                number,
                time,
                offset[row],
                raises[row],
                clears[row],
                level,
                score,
                options,
                slots,
                changes,
                events,
                n,
            )
            heads[number, BUSY] = slots[number, HELD] != NEVER or slots[number, OPEN] > 0
    return n, n_late


@kernel
def _forget(number, heads, slots, changes, silences):  # type: ignore[no-untyped-def]  # compiled
    for at in range(heads.shape[1]):
        heads[number, at] = NEW_HEAD[at]
    for at in range(slots.shape[1]):
        slots[number, at] = NEW[at]
    for at in range(changes.shape[1]):
        changes[number, at] = NEVER if at > 0 else 0
    for at in range(silences.shape[1]):
        silences[number, at] = NEW_SILENCE[at]


@kernel
def _judge(  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912  # the state machine of the docstring, whole
    row, number, time, offset, raises, clears, level, score, options, slots, changes, events, n
):
    """Take in a reading of a device for which something is on, or comes on."""
    slot, peaks = slots[number], slots[number].view(np.float64)
    if raises and slot[HELD] == NEVER:
        slot[HELD] = time
        if slot[OPEN] == 0:
            slot[BEFORE] = slot[BEFORE] + 1 if slot[OFFSET] == offset else 0
            slot[SINCE], slot[OFFSET], slot[COUNT], peaks[PEAK] = time, offset, 0, np.nan
    slot[COUNT] += raises
    if len(score) > 0 and (score[row] > peaks[PEAK] or np.isnan(peaks[PEAK])):
        peaks[PEAK] = score[row]

    changed = False
    if slot[ON] == 1:
        if clears:
            slot[ON], slot[HELD], changed = 0, NEVER, True
    elif not raises:
        slot[HELD] = NEVER
    elif time - slot[HELD] >= options[FOR]:
        slot[ON], changed = 1, True

    often = False
    if changes.shape[1] > 0:
        if changed:
            changes[number, 1 + changes[number, 0]] = time
            changes[number, 0] = (changes[number, 0] + 1) % (changes.shape[1] - 1)
        often = changes[number, 1 + changes[number, 0]] > time - options[WITHIN]
    now = np.int64(level[row]) if len(level) > 0 else np.int64(1)

    state = np.int64(-1)
    if slot[OPEN] == 0:
        if slot[ON] == 1 and time - slot[CLEARED] >= options[COOLDOWN]:
            state, slot[OPEN], slot[FLAPS] = RAISED, max(now, 1), often
    elif slot[ON] == 0 and slot[HELD] == NEVER and not (slot[FLAPS] == 1 and often):
        state, slot[CLEARED] = CLEARED_STATE, time
    elif slot[ON] == 1 and now > slot[OPEN]:
        state, slot[OPEN] = ESCALATED, now
    if state >= 0:
        event = events[n]
        event[ROW], event[AT], event[STATE], event[LEVEL] = row, time, state, slot[OPEN] - 1
        event[REASON] = FLAPPING if slot[FLAPS] == 1 else CONDITION
        event[BEGAN], event[FROM], event[NUMBER] = slot[SINCE], slot[OFFSET], slot[BEFORE]
        event[READINGS], event[LARGEST] = slot[COUNT], slot[PEAK]
        n += 1
    if state == CLEARED_STATE:
        slot[OPEN], slot[FLAPS] = 0, 0
    return n


@kernel
def _miss(row, number, time, newest, options, silences, events, n):  # type: ignore[no-untyped-def]  # compiled
    """Look whether a device is missing now that its time has come to `time` without a reading."""
    silent = silences[number]
    if newest == NEVER or silent[MISSED] != NEVER or time >= END:
        return n
    due = max(newest + options[SILENCE], silent[BACK] + options[COOLDOWN])
    if time < due:
        return n
    silent[AGAIN] = silent[AGAIN] + 1 if silent[LAST] == silent[HEARD] else 0
    silent[MISSED], silent[QUIET], silent[LAST] = due, newest, silent[HEARD]
    return _of_silence(row, due, RAISED, silent, events, n)


@kernel
def _return(row, number, time, silences, events, n):  # type: ignore[no-untyped-def]  # compiled
    """Take note that a device is back. Readings that it had kept may be older than the time at which it was missed."""
    silent = silences[number]
    silent[BACK] = max(time, silent[MISSED])
    n = _of_silence(row, silent[BACK], CLEARED_STATE, silent, events, n)
    silent[MISSED] = NEVER
    return n


@kernel
def _of_silence(row, time, state, silent, events, n):  # type: ignore[no-untyped-def]  # compiled
    event = events[n]
    event[ROW], event[AT], event[STATE], event[REASON], event[LEVEL] = row, time, state, MISSING, 0
    event[BEGAN], event[FROM], event[NUMBER] = silent[QUIET], silent[LAST], -1 - silent[AGAIN]
    event[READINGS], event[LARGEST] = 0, 0
    return n + 1
