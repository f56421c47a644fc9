"""Watermarks: how far each device's event time has come.

Event time only, and each device on its own: a device's watermark is its newest `ts` minus `lateness`, so a device
whose clock runs ahead makes nobody else's data late. A device that has gone silent is moved on by the shard's clock
(the newest `ts` of all its devices): once that clock has advanced by `idle` since the device was last heard, the
device's watermark advances by as much as the clock has. A device that is catching up with old readings isn't silent.

A device that has been silent for `forget` is forgotten: its last punctuation tells every step to give out and drop what
it keeps of it, and its slot is free for another device. If it comes again, it is a new device.

Silent devices are looked for whenever a record takes the shard's clock over a multiple of `idle / 4`, so which record
moves a device on depends on the records alone and not on how they are cut into batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.base import Snapshot
from operators.batch import Batch, Column, Type
from operators.kernel import kernel

NEVER = np.int64(-(2**62))
"""Before any time a record can carry."""
END = np.int64(2**62)
"""After any time a record can carry: the watermark of a device whose windows are all to be closed."""
FORGET = np.int64(2**62 + 1)
"""The watermark of a punctuation with which a device is forgotten: all that is open closes, and its slot is empty again,
as if it had never been seen; rows that come for it later begin anew."""


class Clock:
    """The watermarks of a shard's devices.

    Args:
        lateness: how far behind its newest reading a device's readings may still come, us.
        idle: how long a device is silent, in the shard's event time, before the shard's clock moves it on; us.
        reach: for how long behind a device's last row a watermark has any work left in the pipeline, us. A silent
            device is moved on until then and no further, so devices that are gone for good cost nothing.
        grain: a silent device is moved on only where its watermark passes a multiple of this, us: the size of the
            smallest window. In between, nothing could close.
        forget: how long a device is silent, in the shard's event time, before it is forgotten; us. Never if left out.
        resume: what `snapshot` gave.
    """

    def __init__(
        self,
        lateness: int,
        idle: int,
        reach: int,
        grain: int = 1,
        forget: int = int(END),
        resume: Snapshot | None = None,
    ) -> None:
        """Make a clock that has seen nothing, or one that goes on from a snapshot."""
        self._times = np.array([lateness, idle, lateness + reach, max(idle // 4, 1), grain, forget])
        resume = resume or {"now": np.array([NEVER, NEVER]), "devices": np.empty((3, 0), np.int64)}
        self._now = resume["now"].copy()
        """The shard's clock, and what it showed at its newest record; us."""
        self._devices = resume["devices"].copy()
        """Per device its watermark, its newest `ts`, and the shard's clock when it was last heard; us."""
        self._moved = np.empty((3, 64), np.int64)
        """Scratch for the devices that were moved on: behind which row, which device, its watermark."""

    @property
    def now(self) -> int:
        """The shard's clock, us since the epoch; `NEVER` before its first record."""
        return int(self._now[0])

    def on_rows(
        self,
        device: NDArray[np.uint32],
        ts: NDArray[np.int64],
        offset: NDArray[np.int64],
        columns: Mapping[str, Column],
        types: Mapping[str, Type],
    ) -> Batch:
        """Make a batch of decoded rows, with a punctuation for each silent device behind the row that moved it on."""
        self._grow(int(device.max(initial=0)) + 1)
        watermark = np.empty(len(ts), np.int64)
        row, moved = 0, 0
        while True:
            row, moved = _tick(device, ts, row, self._times, self._now, self._devices, watermark, self._moved, moved)
            if row == len(ts):
                break
            self._moved = np.concatenate([self._moved, np.empty_like(self._moved)], axis=1)
        rows = Batch(device, ts, watermark, offset, np.ones(len(ts), np.bool_), columns)
        if not moved:
            return rows
        behind, devices, watermarks = self._moved[:, :moved]
        punctuations = Batch.punctuations(devices.astype(np.uint32), watermarks.copy(), offset[behind], types)
        order = np.argsort(np.concatenate([np.arange(len(ts)), behind]), kind="stable")
        return Batch.concat([rows, punctuations]).take(order)

    def on_idle(self, elapsed: int, offset: int, types: Mapping[str, Type]) -> Batch:
        """Move the shard's clock on by the wall time (us) since its last record, and the silent devices with it.

        Gives punctuations alone, that carry `offset`. What wall time triggers isn't in the records, so the caller
        says when, and has to write that down if it wants a replay to do the same.
        """
        if self.now == NEVER:
            return Batch.empty(types)
        self._now[0] = max(self._now[0], self._now[1] + elapsed)
        if self._moved.shape[1] < self._devices.shape[1]:
            self._moved = np.empty_like(self._devices)
        moved = _move_silent(0, self._times, self._now, self._devices, self._moved, 0)
        _, devices, watermarks = self._moved[:, :moved]
        return Batch.punctuations(devices.astype(np.uint32), watermarks.copy(), np.full(moved, offset), types)

    def knows(self, devices: NDArray[Any]) -> NDArray[np.bool_]:
        """Say of each device whether it has been heard, and not been forgotten since."""
        return np.asarray(self._devices[2, devices] > NEVER)

    def close(self, offset: int, types: Mapping[str, Type]) -> Batch:
        """Move every device to the end of time, which closes all that is open. For the end of a finite run."""
        devices = np.flatnonzero(self._devices[2] > NEVER)
        self._devices[0, devices] = END
        return Batch.punctuations(
            devices.astype(np.uint32), np.full(len(devices), END), np.full(len(devices), offset), types
        )

    def snapshot(self) -> Snapshot:
        """Copy the clock's arrays."""
        return {"now": self._now.copy(), "devices": self._devices.copy()}

    def _grow(self, devices: int) -> None:
        known = self._devices.shape[1]
        if devices > known:
            room = np.full((3, max(devices, 2 * known) - known), NEVER)
            self._devices = np.concatenate([self._devices, room], axis=1)


@kernel
def _move_silent(row, times, now, devices, moved, n):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Move every silent device on behind `row`; returns how many `moved` holds then."""
    lateness, idle, furthest, grain = times[0], times[1], times[2], times[4]
    for device in range(devices.shape[1]):
        heard = devices[2, device]
        silent = now[0] - heard
        if heard == NEVER or silent < idle:
            continue
        if silent >= times[5]:
            devices[:, device] = NEVER
            moved[0, n] = row
            moved[1, n] = device
            moved[2, n] = FORGET
            n += 1
            continue
        watermark = devices[1, device] - lateness + min(silent, furthest)
        known = devices[0, device]
        if watermark > known and (silent >= furthest or watermark // grain > known // grain):
            devices[0, device] = watermark
            moved[0, n] = row
            moved[1, n] = device
            moved[2, n] = watermark
            n += 1
    return n


@kernel
def _tick(device, ts, row, times, now, devices, watermark, moved, n):  # type: ignore[no-untyped-def]  # compiled
    """Take in rows from `row` on; stops before a row when `moved` may have too little room for it."""
    lateness, step = times[0], times[3]
    room = moved.shape[1] - devices.shape[1]
    while row < len(ts):
        if n > room:
            return row, n
        slot = device[row]
        time = ts[row]
        before = now[0]
        now[0] = max(before, time)
        now[1] = now[0]
        devices[1, slot] = max(devices[1, slot], time)
        devices[2, slot] = now[0]
        devices[0, slot] = max(devices[0, slot], time - lateness)
        watermark[row] = devices[0, slot]
        if before != NEVER and now[0] // step != before // step:
            n = _move_silent(row, times, now, devices, moved, n)
        row += 1
    return row, n
