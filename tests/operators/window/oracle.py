"""What the tests of the windows share: oracles that keep the rows of a window in a list, and readings by the second."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from unittest.mock import ANY
from zoneinfo import ZoneInfo

from operators.aggregate.base import aggregates
from operators.batch import Schema, Type
from operators.clock import END, FORGET, NEVER
from tests.operators.aggregate.ordered import in_order
from tests.operators.aggregate.window import Bounds, expected, load_oracles
from tests.operators.rows import DAY, NINE, SCHEMA, SECOND, Near, Row, test_module

load_oracles()

Out = dict[str, list[Row]]

_NAMES = {"ts": Type.TIME, **SCHEMA.columns}
EVERY = {
    f"{name}_{column}": f"{name}({column}{', 50' if found.number else ''})"
    for name, found in aggregates().items()
    for column, type_ in _NAMES.items()
    if type_ in found.accepts
}
"""Every aggregate of every column that it takes, future ones too."""


@dataclass(frozen=True)
class Window:
    """A window: its bounds, and its rows in the order in which its aggregates are to see them.

    Attributes:
        start: where it starts, us.
        end: where it ends, us.
        rows: that are in it.
        until: how far it reaches for what holds until the next reading, us; to its newest row if left out.
        before: the rows before it, for what looks back.
        panes: whether it is `one` pane, or panes are put together for it `by time`, or perhaps by `arrival`.
    """

    start: int
    end: int
    rows: Sequence[Row]
    until: int | None = None
    before: Sequence[Row] = ()
    panes: str = "arrival"

    def values(self, rows: Sequence[Row], column: str, schema: Schema) -> list[tuple[int, Any]]:
        """Give (ts, value) of the rows in which a column isn't missing."""
        pairs = [(row.ts, row.ts if column == schema.time else row.values.get(column)) for row in rows]
        return [pair for pair in pairs if pair[1] is not None]

    def looking_back(self, aggregate: str, column: str, schema: Schema) -> Any:
        """Ask the oracle of an aggregate that goes from reading to reading, and looks at the one before the window.

        It leaves out a reading that comes too late, and which those are depends on the panes: where there is more than
        one, only what comes in order enough is certain.
        """
        pairs = self.values(sorted(self.rows, key=lambda row: row.offset), column, schema)
        until = max(row.ts for row in self.rows) if self.until is None else self.until
        bounds = Bounds(self.start, until, self.values(self.before, column, schema))
        ordered = sorted(pairs, key=lambda pair: pair[0])
        if (
            self.panes != "one"
            and len(pairs) > 16
            and (in_order(pairs) if self.panes == "by time" else pairs) != ordered
        ):
            return ANY
        return expected(aggregate, pairs, schema.names()[column], bounds)


def aggregated(calls: Mapping[str, str], window: Window, schema: Schema) -> dict[str, Any]:
    """Ask each aggregate's own oracle what it makes of a window."""
    values: dict[str, Any] = {}
    for name, call in calls.items():
        aggregate, _, argument = call.rstrip(")").partition("(")
        column = argument.partition(",")[0].strip()
        if aggregates()[aggregate].looks_back:
            values[name] = window.looking_back(aggregate, column, schema)
            continue
        of = test_module("tests.operators.aggregate", (aggregate,), ("oracle",)).oracle
        if not column:
            values[name] = of([(row.ts, 0) for row in window.rows], Type.INT)
            continue
        values[name] = of(window.values(window.rows, column, schema), schema.names()[column])
    return values


def sum_up(spec: Any, window: Window, schema: Schema, *, final: bool = True) -> dict[str, Any]:
    """Give the columns of a window's row."""
    bounds = {"window_start": window.start, "window_end": window.end}
    early = {"final": final} if getattr(spec, "early", None) else {}
    return {**bounds, **early, **aggregated(spec.aggregate, window, schema)}


def told(cause: Row, window: Window, values: Mapping[str, Any], watermark: int | None = None) -> Row:
    """Make the row of a window: its time is the window's last moment."""
    ts = window.end - 1
    return Row(cause.device, ts, ts if watermark is None else watermark, cause.offset, live=True, values=values)


def punctuation(cause: Row, watermark: int) -> Row:
    """Make the row that says only how far time has come."""
    return Row(cause.device, watermark, watermark, cause.offset, live=False)


def late(row: Row, end: int, start: int | None = None) -> Row:
    """Make what goes to the side output for a row whose window ended at `end`."""
    bounds = {} if start is None else {"window_start": start, "window_end": end}
    return replace(row, values={**row.values, **bounds, "late_by": Near((row.watermark - end) / SECOND)})


@dataclass(frozen=True)
class Grid:
    """Where windows of one size stand: one begins at `origin`, and one every `slide` before and behind it."""

    size: int
    slide: int
    origin: int = 0

    @property
    def panes(self) -> str:
        """Say how a window comes from panes."""
        return "one" if self.size == self.slide else "by time"

    def slice(self, ts: int) -> int:
        """Give the start of the slice that holds a time: slices are cut where windows begin and where they end."""
        start, end = ts - (ts - self.origin) % self.slide, self.reached(ts)
        return max(start, end)

    def last(self, ts: int) -> tuple[int, int]:
        """Give the last window that begins at or before a time; the time may lie behind its end."""
        start = ts - (ts - self.origin) % self.slide
        return start, start + self.size

    def around(self, ts: int) -> list[tuple[int, int]]:
        """Give all windows that hold a time, in order."""
        found = []
        start, end = self.last(ts)
        while ts < end:
            found.append((start, end))
            start, end = start - self.slide, end - self.slide
        return found[::-1]

    def reached(self, watermark: int) -> int:
        """Give the last end of a window at or before a watermark."""
        return watermark - (watermark - self.origin - self.size) % self.slide

    def behind(self, end: int) -> int:
        """Give the end of the next window."""
        return end + self.slide


_1900, _2100 = ((date(year, 1, 1) - date(1970, 1, 1)).days for year in (1900, 2100))


@dataclass(frozen=True)
class Days:
    """Windows of whole days in a time zone, one behind the other, from midnight to midnight there.

    One of them begins with the date of `origin`, which is given as that date's midnight in UTC.
    """

    size: int
    time_zone: str
    origin: int = 0

    panes: str = "one"

    def slice(self, ts: int) -> int:
        """Give the start of the window that holds a time."""
        return self.around(ts)[0][0]

    def midnight(self, day: int) -> int:
        """Give the first moment of a day, which is counted from 1970-01-01."""
        # The rules of a time zone are followed from 1900 to 2100; what is beyond has the offset of the nearest day.
        known = timedelta(days=min(max(day, _1900), _2100))
        local = datetime(1970, 1, 1, tzinfo=ZoneInfo(self.time_zone)) + known
        offset = local.utcoffset()
        assert offset is not None
        return day * DAY - offset // timedelta(microseconds=1)

    def start(self, number: int) -> int:
        """Give the start of a window; the one with number 0 begins at `origin`."""
        return self.midnight(self.origin // DAY + number * (self.size // DAY))

    def number(self, ts: int) -> int:
        """Give the number of the window that holds a time."""
        number = (ts - self.origin) // self.size + 2
        while self.start(number) > ts:
            number -= 1
        return number

    def around(self, ts: int) -> list[tuple[int, int]]:
        """Give the window that holds a time."""
        return [(self.start(self.number(ts)), self.start(self.number(ts) + 1))]

    def reached(self, watermark: int) -> int:
        """Give the last end of a window at or before a watermark."""
        return self.start(self.number(watermark))

    def behind(self, end: int) -> int:
        """Give the end of the next window."""
        return self.start(self.number(end) + 1)


@dataclass
class Known:
    """What the windows of a grid know of a device.

    Attributes:
        closed_to: the last end of a window that the watermark has reached.
        newest: the newest time of a row.
        open: bounds to the rows of the windows that are open.
        changed: bounds of those that have changed since the last early results.
        slices: start to the rows of each slice.
    """

    closed_to: int | None = None
    newest: int | None = None
    open: dict[tuple[int, int], list[Row]] = field(default_factory=lambda: defaultdict(list))
    changed: set[tuple[int, int]] = field(default_factory=set)
    slices: dict[int, list[Row]] = field(default_factory=lambda: defaultdict(list))

    def window(self, grid: Any, bounds: tuple[int, int], until: int | None = None) -> Window:
        """Make an open window; the rows before it are those of the newest slice before it."""
        start, end = bounds
        before = max((at for at in self.slices if at < start), default=None)
        reach = end if until is None else min(end, until)
        return Window(start, end, self.open[bounds], reach, [] if before is None else self.slices[before], grid.panes)


def gathered(grid: Any, spec: Any, schema: Schema, rows: Sequence[Row]) -> Out:
    """Gather rows by device and window of a grid; when a watermark reaches the end of windows, they are over."""
    out: Out = {"": [], "late": []}
    devices: dict[bytes, Known] = defaultdict(Known)
    for row in rows:
        known = devices[row.device]
        if row.live:
            out["late" if _missed(grid, known, row) else ""] += _taken(grid, spec, schema, known, row)
        if row.watermark >= FORGET or known.closed_to is None or grid.reached(row.watermark) > known.closed_to:
            out[""] += _closed(grid, spec, schema, known, row)
        if row.watermark >= FORGET:
            del devices[row.device]
    return out


def _missed(grid: Any, known: Known, row: Row) -> bool:
    """Whether all windows of a row are closed. A row between windows has none to miss."""
    around = grid.around(row.ts)
    return bool(around) and known.closed_to is not None and around[-1][1] <= known.closed_to


def _taken(grid: Any, spec: Any, schema: Schema, known: Known, row: Row) -> list[Row]:
    """Take in a row; give early results where it takes the device's time over a multiple of `early`."""
    before, known.newest = known.newest, row.ts if known.newest is None else max(known.newest, row.ts)
    if _missed(grid, known, row):
        start, end = grid.around(row.ts)[-1]
        return [late(row, end, start)]
    rows: list[Row] = []
    early = getattr(spec, "early", None)
    if early and before is not None and row.ts // early > before // early:
        horizon = int(NEVER) if known.closed_to is None else grid.behind(known.closed_to) - 1
        for bounds in sorted(bounds for bounds in known.changed if bounds[1] > row.watermark):
            window = known.window(grid, bounds, row.ts // early * early)
            rows.append(told(row, window, sum_up(spec, window, schema, final=False), horizon))
        known.changed.clear()
    if grid.around(row.ts):
        known.slices[grid.slice(row.ts)].append(row)
    for bounds in grid.around(row.ts):
        if known.closed_to is None or bounds[1] > known.closed_to:
            known.open[bounds].append(row)
            known.changed.add(bounds)
    return rows


def _closed(grid: Any, spec: Any, schema: Schema, known: Known, row: Row) -> list[Row]:
    """Give the windows that a row's watermark closes, and say how far time has come."""
    known.closed_to = grid.reached(row.watermark)
    over = [known.window(grid, bounds) for bounds in sorted(known.open) if bounds[1] <= row.watermark]
    rows = [told(row, window, sum_up(spec, window, schema)) for window in over]
    for window in over:
        del known.open[window.start, window.end]
        known.changed.discard((window.start, window.end))
    if row.watermark >= FORGET:
        return [*rows, punctuation(row, int(FORGET))]
    horizon = min(grid.behind(known.closed_to) - 1, int(END))
    # Only the last row may say how far time has come: it would make the ones before it late to a window behind.
    return [*rows[:-1], replace(rows[-1], watermark=horizon)] if rows else [punctuation(row, horizon)]


def at(seconds: float, device: bytes = b"a", **values: Any) -> tuple[bytes, int, Mapping[str, Any]]:
    """Make a reading so many seconds behind 9:00."""
    return device, NINE + round(seconds * SECOND), values


def seconds(ts: int) -> float:
    """Say how many seconds behind 9:00 a time is."""
    return (ts - NINE) / SECOND


def spans(rows: Sequence[Row]) -> list[tuple[float, float, int]]:
    """Give start and end (seconds behind 9:00) and `count` of the rows of windows."""
    return [(seconds(row["window_start"]), seconds(row["window_end"]), row["count"]) for row in rows if row.live]
