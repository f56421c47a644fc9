"""What a device's readings come to in plain Python: minutes, and the same z-score as telemill's `zscore` with `history: 0`.

Python peers share it where they let their user write a step by hand.
"""

from __future__ import annotations

from collections import deque
from typing import Any

MINUTE = 60_000
RATE = 1 - 0.5 ** (1 / 200)
"""Weight of a new value: half of what is known is forgotten in 200 values."""
WARMUP = 20
RAISE, CLEAR = 10.0, 3.0
"""In deviations."""
FURTHEST = 4.0
"""A value further off is learnt from as if it stood there."""


class Zscore:
    """Exponentially weighted mean and variance of a device, and whether it is in alert."""

    __slots__ = ("mean", "n", "raised", "variance")

    def __init__(self) -> None:
        self.n = 0
        self.mean = 0.0
        self.variance = 0.0
        self.raised = False

    def on_value(self, ts: int, value: float) -> dict[str, Any] | None:
        """Take a value in; gives the alert that it raises or clears."""
        n, variance = self.n, self.variance
        difference = value - self.mean
        alert = None
        if n >= WARMUP and variance > 0:
            squared = difference * difference / variance
            if self.raised:
                if squared < CLEAR * CLEAR:
                    self.raised = False
                    alert = {"state": "cleared", "at": ts, "z": squared**0.5}
            elif squared > RAISE * RAISE:
                self.raised = True
                alert = {"state": "raised", "at": ts, "z": squared**0.5}
            if squared > FURTHEST * FURTHEST:
                limit = FURTHEST * variance**0.5
                difference = limit if difference > 0 else -limit
        self.n = n + 1
        share = max(RATE, 1 / (n + 1))
        step = share * difference
        self.mean += step
        self.variance = (1 - share) * (variance + difference * step)
        return alert


class Device:
    """Open minutes of a device, by their start, and its z-score.

    Args:
        lateness: how far the watermark is behind the newest reading, ms.
    """

    __slots__ = ("lateness", "next_end", "watermark", "windows", "zscore")

    def __init__(self, lateness: int) -> None:
        self.lateness = lateness
        self.watermark = -(2**62)
        self.next_end = 2**62
        self.windows: dict[int, list[Any]] = {}
        self.zscore = Zscore()

    def on_reading(self, ts: int, watts: float) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        """Take a reading in; gives the rows of the minutes that it closes, and an alert or None."""
        rows: list[dict[str, Any]] = []
        watermark = ts - self.lateness
        if watermark > self.watermark:
            self.watermark = watermark
            if watermark >= self.next_end:
                ended = sorted(start for start in self.windows if start + MINUTE <= watermark)
                rows = [row(start, self.windows.pop(start)) for start in ended]
                self.next_end = min(self.windows, default=2**62 - MINUTE) + MINUTE
        start = ts - ts % MINUTE
        if start + MINUTE > self.watermark:
            window = self.windows.get(start)
            if window is None:
                self.windows[start] = [1, watts, watts, watts, watts, ts]
                self.next_end = min(self.next_end, start + MINUTE)
            else:
                add(window, ts, watts)
        return rows, self.zscore.on_value(ts, watts)


class Hopping(Device):
    """Open panes of 5 s, of which a window of a minute is put together when it closes."""

    __slots__ = ("next_start",)
    SLIDE = 5_000

    def __init__(self, lateness: int) -> None:
        super().__init__(lateness)
        self.next_start = 0

    def on_reading(self, ts: int, watts: float) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        """Take a reading in; gives the rows of the windows that it closes, and an alert or None."""
        rows: list[dict[str, Any]] = []
        panes = self.windows
        if ts - self.lateness > self.watermark:
            self.watermark = ts - self.lateness
            while panes and self.next_start + MINUTE <= self.watermark:
                start = self.next_start
                inside = [panes[at] for at in range(start, start + MINUTE, self.SLIDE) if at in panes]
                if inside:
                    rows.append(row(start, merged(inside)))
                self.next_start = start + self.SLIDE
                panes.pop(start, None)
        start = ts - ts % self.SLIDE
        first = start - MINUTE + self.SLIDE
        if not panes or first < self.next_start:
            # The first window that isn't closed yet; none was given out from here on.
            open_from = (self.watermark - MINUTE) // self.SLIDE * self.SLIDE + self.SLIDE
            self.next_start = max(first, open_from)
        if start + MINUTE > self.watermark:
            pane = panes.get(start)
            if pane is None:
                panes[start] = [1, watts, watts, watts, watts, ts]
            else:
                add(pane, ts, watts)
        return rows, self.zscore.on_value(ts, watts)


class Blocks(Device):
    """A sliding regression over 60 readings, the average of each 60, and the z-score."""

    __slots__ = ("block", "first", "recent", "sums")
    SIZE = 60

    def __init__(self, lateness: int) -> None:
        super().__init__(lateness)
        self.recent: deque[tuple[float, float]] = deque()
        self.sums = [0.0, 0.0, 0.0, 0.0]
        self.first = (0, 0.0)
        self.block: list[Any] = []

    def on_reading(self, ts: int, watts: float) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        """Take a reading in; gives the row of the block that it completes, and an alert or None."""
        recent, sums = self.recent, self.sums
        if not recent:
            self.first = (ts, watts)  # sums of differences keep their digits
        x, y = (ts - self.first[0]) / 1000, watts - self.first[1]
        recent.append((x, y))
        self._sum(x, y, 1)
        if len(recent) > self.SIZE:
            self._sum(*recent.popleft(), -1)
        n = len(recent)
        spread = n * sums[2] - sums[0] * sums[0]
        trend = (n * sums[3] - sums[0] * sums[1]) / spread if spread else None
        rows: list[dict[str, Any]] = []
        if not self.block:
            self.block = [0, 0.0, ts]
        self.block[0] += 1
        self.block[1] += watts
        if self.block[0] == self.SIZE:
            n, total, start = self.block
            rows = [{"window_start": start, "window_end": ts, "n": n, "mean": total / n, "trend": trend}]
            self.block = []
        return rows, self.zscore.on_value(ts, watts)

    def _sum(self, x: float, y: float, sign: int) -> None:
        sums = self.sums
        sums[0] += sign * x
        sums[1] += sign * y
        sums[2] += sign * x * x
        sums[3] += sign * x * y


def device(workload: str, lateness: int) -> Device:
    """Make a device for a workload."""
    return {"w3": Hopping, "w4": Blocks}.get(workload, Device)(lateness)


def merged(panes: list[list[Any]]) -> list[Any]:
    """Put panes together to a window."""
    newest = max(panes, key=lambda pane: pane[5])
    return [
        sum(pane[0] for pane in panes), sum(pane[1] for pane in panes), min(pane[2] for pane in panes),
        max(pane[3] for pane in panes), newest[4], newest[5],
    ]  # fmt: skip


def add(window: list[Any], ts: int, watts: float) -> None:
    """Add a reading to a window: [n, total, low, high, last, when last]."""
    window[0] += 1
    window[1] += watts
    window[2] = min(window[2], watts)
    window[3] = max(window[3], watts)
    if ts >= window[5]:
        window[4], window[5] = watts, ts


def row(start: int, window: list[Any]) -> dict[str, Any]:
    """Give the row of a window."""
    n, total, low, high, last, _ = window
    return {
        "window_start": start, "n": n, "total": total, "mean": total / n, "low": low, "high": high, "last": last,
    }  # fmt: skip
