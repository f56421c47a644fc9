"""Pictures of a backtest: for a device, the columns that were asked for over time, and its alerts behind them.

Readings are a line, which breaks where the device was silent; what a window gave is a step over [window_start,
window_end), and over its last part alone where windows overlap; an alert is a span from raised to cleared. Long series
are thinned to what the pixels can show, so that spikes stay.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from numpy.typing import NDArray

from operators.batch import Batch, Schema, Text, Type, is_missing
from pipelines.plan import SOURCE, Pipeline
from pipelines.shard import Product

_MOST = 4
"""Devices that are drawn where none is named."""
_PIXELS = 1_000
"""Points in time that a picture can tell apart."""
_LINES = ("#27506e", "#d1751f", "#3a8f5c", "#7a4f9a", "#8c6d31", "#4c4c4c")
_ALERTS = ("#c1292e", "#e08e0b", "#8e3fa0")
_LONGEST_NAME = 100
_LISTED = 8


class PictureError(ValueError):
    """A picture that can't be drawn; the text says why and what can."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A column of a stream.

    Attributes:
        stream: its stream.
        column: its name.
        windows: whether its rows are of windows.
        holds: whether a value holds until the next one, as a bool does.
    """

    stream: str
    column: str
    windows: bool
    holds: bool = False


@dataclass(slots=True)
class Points:
    """The rows of one device for a curve: from and to (us; the same for readings), and the values."""

    start: list[NDArray[np.int64]] = field(default_factory=list)
    end: list[NDArray[np.int64]] = field(default_factory=list)
    value: list[NDArray[np.float64]] = field(default_factory=list)

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Give the points that have a value, by time."""
        if not self.start:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
        start, end, value = np.concatenate(self.start), np.concatenate(self.end), np.concatenate(self.value)
        there = np.flatnonzero(~np.isnan(value))
        order = there[np.lexsort((start[there], end[there]))]
        return start[order], end[order], value[order]


@dataclass(slots=True)
class Span:
    """An alert: the step that raised it, when, and when it was cleared; us, None while it is raised."""

    alert: str
    raised: int
    cleared: int | None = None
    alert_id: str | None = None


class Picture:
    """Gathers what is to be drawn while a backtest runs, and draws it.

    Attributes:
        streams: the streams to watch.
        devices: the devices that are drawn.
    """

    def __init__(self, pipeline: Pipeline, plots: Sequence[str], devices: Sequence[str] = ()) -> None:
        """Find the columns.

        Args:
            pipeline: that is run.
            plots: a panel each: a column, or several with commas between; `STREAM.COLUMN` for that of a stream.
            devices: to draw; the first in the file if none is named.

        Raises:
            PictureError: if there is no such column, or it isn't one of numbers.
        """
        self._name = pipeline.name
        schemas = pipeline.streams()
        self._panels = [[_curve(name.strip(), schemas) for name in plot.split(",")] for plot in plots]
        self._alerts = [step.id for step in pipeline.steps if step.kind == ("alert",)]
        curves = [curve for panel in self._panels for curve in panel]
        self.streams = list(dict.fromkeys([SOURCE, *(curve.stream for curve in curves), *self._alerts]))
        self._silent = pipeline.source.idle
        self.devices = list(dict.fromkeys(devices))
        self._free = not devices
        self._points = {(device, curve): Points() for device in self.devices for curve in curves}
        self._spans: dict[str, list[Span]] = {device: [] for device in self.devices}
        self._range: dict[str, tuple[int, int]] = {}
        self._ids: dict[str, None] = {}

    def take(self, product: Product) -> None:
        """Keep what a batch has of the devices that are drawn."""
        for stream in self.streams:
            if stream not in product.rows:
                continue
            batch = product.rows[stream]
            slots, first = np.unique(batch.device, return_index=True)
            ids = [device.decode("utf-8", "backslashreplace") for device in product.devices.ids(slots).values()]
            if stream == SOURCE:
                self._choose([ids[place] for place in np.argsort(first).tolist()])
            for slot, device in zip(slots.tolist(), ids, strict=True):
                if device in self._spans:
                    self._keep(stream, device, batch.take(np.flatnonzero(batch.device == slot)))

    def save(self, folder: Path) -> list[Path]:
        """Draw every device into a file of its own.

        Raises:
            PictureError: if there is no row of a device that was named; the others are drawn first.
            OSError: if a file can't be written.
        """
        files = []
        for device in self.devices:
            if device in self._range:
                file = folder / f"{_file_name(device)}.png"
                self.figure(device).savefig(file, dpi=110)
                files.append(file)
        missing = [device for device in self.devices if device not in self._range]
        if missing:
            message = f"no row of the device {_listed(missing)}, so no picture of it; there are {_listed(self._ids)}"
            raise PictureError(message)
        return files

    def left_out(self) -> Sequence[str]:
        """Say which devices weren't drawn, where none was named."""
        others = [device for device in self._ids if device not in self._spans] if self._free else []
        return [f"the first {_MOST} devices are drawn; name others with --device: {_listed(others)}"] if others else []

    def figure(self, device: str) -> Figure:
        """Draw a device."""
        first, last = self._range[device]
        figure = Figure(figsize=(11, 1.2 + 2.4 * len(self._panels)), layout="constrained")
        axes: list[Axes] = list(figure.subplots(len(self._panels), 1, sharex=True, squeeze=False)[:, 0])
        dates = " to ".join(dict.fromkeys(str(_day(np.array([time]))[0])[:10] for time in (first, last - 1)))
        figure.suptitle(f"{device}   ·   {self._name}   ·   {dates}", x=0.01, ha="left", fontsize=12, fontweight="bold")
        margin = max(int(0.01 * (last - first)), 1_000_000)
        limits = first - margin, last + margin
        for axis, panel in zip(axes, self._panels, strict=True):
            for curve, colour in zip(panel, _LINES * len(panel), strict=False):
                behind = not curve.windows and any(other.windows for other in panel)
                self._draw(axis, self._points[device, curve], curve, colour, limits, behind=behind)
            self._shade(axis, self._spans[device], limits)
            axis.set_ylabel(", ".join(curve.column for curve in panel))
            axis.grid(alpha=0.25)
            axis.spines[["top", "right"]].set_visible(False)
            axis.margins(y=0.08)
            handles: Mapping[str, Any] = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
            place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.1, "ncols": 6}
            axis.legend(handles.values(), handles.keys(), frameon=False, fontsize=9, **place)
        axes[0].set_xlim(*(_day(np.array([limit]))[0] for limit in limits))
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]  # matplotlib has no types there
        axes[-1].xaxis.set_major_locator(locator)
        axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # as above
        figure.align_ylabels(axes)
        axes[-1].set_xlabel("event time (UTC)")
        return figure

    def _choose(self, devices: Sequence[str]) -> None:
        """Note the devices, and take the first where none is named."""
        self._ids |= dict.fromkeys(devices)
        for device in devices if self._free else ():
            if device not in self._spans and len(self.devices) < _MOST:
                self.devices.append(device)
                self._spans[device] = []
                self._points |= {(device, curve): Points() for panel in self._panels for curve in panel}

    def _keep(self, stream: str, device: str, rows: Batch) -> None:
        low, high = int(rows.ts.min()), int(rows.ts.max()) + 1
        known = self._range.get(device, (low, high))
        self._range[device] = min(low, known[0]), max(high, known[1])
        for curve in {curve for panel in self._panels for curve in panel if curve.stream == stream}:
            points = self._points[device, curve]
            given = rows
            if curve.windows and "final" in rows.columns:
                given = rows.take(np.flatnonzero(rows.columns["final"] == 1))
            points.start.append(np.asarray(given.columns["window_start"]) if curve.windows else given.ts)
            points.end.append(np.asarray(given.columns["window_end"]) if curve.windows else given.ts)
            column = given.columns[curve.column]
            values = np.asarray(column).astype(np.float64)
            values[is_missing(column)] = np.nan
            points.value.append(values)
        if stream in self._alerts:
            self._follow(stream, device, rows)

    def _follow(self, stream: str, device: str, rows: Batch) -> None:
        state, alert_id = rows.columns["state"], rows.columns["alert_id"]
        assert isinstance(state, Text) and isinstance(alert_id, Text)  # noqa: S101, PT018  # an alert's rows have them
        for at, what, name in zip(rows.ts.tolist(), state.to_list(), alert_id.to_list(), strict=True):
            if what == "raised":
                self._spans[device].append(Span(stream, at, alert_id=name))
            elif what == "cleared":
                next(span for span in self._spans[device] if span.alert_id == name).cleared = at

    def _draw(
        self, axis: Axes, points: Points, curve: Curve, colour: str, limits: tuple[int, int], *, behind: bool
    ) -> None:
        start, end, value = points.arrays()
        if curve.windows:
            x, y, breaks = steps(start, end, value)
        else:
            x, y, breaks = start, value, silences(start, self._silent)
        x, y, breaks = thin(x, y, breaks, limits)
        alone = np.diff(np.concatenate([[0], breaks, [len(x)]])) == 1
        places = np.concatenate([[0], breaks])[alone] if len(x) else breaks
        day = _day(np.insert(x, breaks, x[breaks]))
        # Readings lie broad and pale behind what a window gave, so that both are seen, in noise and where they are alike.
        look: dict[str, Any] = {"lw": 1.8, "alpha": 0.4, "zorder": 3} if behind else {"lw": 1.0, "zorder": 4}
        label = curve.column if curve.stream == SOURCE else f"{curve.column} ({curve.stream})"
        drawn = "steps-post" if curve.holds and not curve.windows else "default"
        axis.plot(day, np.insert(y, breaks, np.nan), color=colour, label=label, drawstyle=drawn, **look)
        axis.plot(_day(x[places]), y[places], ".", color=colour, ms=3, zorder=3)

    def _shade(self, axis: Axes, spans: Sequence[Span], limits: tuple[int, int]) -> None:
        for span in spans:
            colour = _ALERTS[self._alerts.index(span.alert) % len(_ALERTS)]
            ends = _day(np.array([span.raised, limits[1] if span.cleared is None else span.cleared]))
            axis.axvspan(*ends, facecolor=colour, alpha=0.2, lw=0, zorder=1, label=f"alert {span.alert}")
            axis.axvline(ends[0], color=colour, lw=1, alpha=0.8, zorder=2)
            axis.plot(ends[:1], [1], "v", color=colour, ms=7, clip_on=False, transform=axis.get_xaxis_transform())


def _curve(name: str, schemas: Mapping[str, Schema]) -> Curve:
    """Find the column that a name means: of the first stream that has it, or of the stream that it names."""
    stream, _, column = name.rpartition(".")
    if stream not in schemas or column not in schemas[stream].columns:
        own = [stream for stream, schema in schemas.items() if name in schema.columns]
        stream, column = own[0] if own else "", name
    if not stream:
        names = {
            column: None for schema in schemas.values() for column, type_ in schema.columns.items() if type_.is_number
        }
        close = difflib.get_close_matches(name, names, 1)
        meant = f"; did you mean `{close[0]}`?" if close else ""
        message = f"no column `{name}`{meant} Columns that can be drawn: {', '.join(names)}"
        raise PictureError(message if close else message.replace("` Columns", "`. Columns"))
    schema = schemas[stream]
    type_ = schema.columns[column]
    if not type_.is_number:
        message = f"`{name}` is {type_}: numbers and bools can be drawn"
        raise PictureError(message)
    windows = schema.time is None and {"window_start", "window_end"} <= set(schema.columns)
    return Curve(stream, column, windows, type_ is Type.BOOL)


def steps(
    start: NDArray[np.int64], end: NDArray[np.int64], value: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Make a line of windows, ordered by their ends: flat over each, broken where there was none.

    Of a window that overlaps the one before only what is behind that one's end is drawn.

    >>> x, y, breaks = steps(np.array([0, 10, 40]), np.array([10, 20, 50]), np.array([1.0, 2.0, 3.0]))
    >>> x.tolist(), y.tolist(), breaks.tolist()
    ([0, 10, 10, 20, 40, 50], [1.0, 1.0, 2.0, 2.0, 3.0, 3.0], [4])
    """
    begins = start.copy()
    begins[1:] = np.maximum(start[1:], end[:-1])
    x = np.column_stack([begins, end]).ravel()
    return x, np.repeat(value, 2), 2 * (np.flatnonzero(begins[1:] > end[:-1]) + 1)


def silences(ts: NDArray[np.int64], idle: int) -> NDArray[np.int64]:
    """Give the places before which the device was silent: for `idle`, and far longer than it is as a rule."""
    apart = np.diff(ts)
    if not len(apart):
        return np.empty(0, np.int64)
    return np.flatnonzero(apart > max(idle, 10 * float(np.median(apart)))) + 1


def thin(
    x: NDArray[np.int64], y: NDArray[np.float64], breaks: NDArray[np.int64], limits: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Keep of each pixel's points the first, the last, the lowest and the highest: the line looks the same.

    Jugel et al., "M4: a visualization-oriented time series data aggregation", VLDB 2014.

    Args:
        x: times in order, us.
        y: values.
        breaks: the places before which the line breaks.
        limits: the range of time that the picture shows, us.

    Returns:
        The points that are kept, and the breaks among them.
    """
    if len(x) <= 4 * _PIXELS:
        return x, y, breaks
    pixel = np.floor((x - limits[0]) * (_PIXELS / max(limits[1] - limits[0], 1)))
    piece = np.zeros(len(x), np.int64)
    piece[breaks] = 1
    piece = np.cumsum(piece)
    begins = np.flatnonzero(np.concatenate([[True], (np.diff(pixel) != 0) | (np.diff(piece) != 0)]))
    group = np.cumsum(np.bincount(begins, minlength=len(x))) - 1
    by_value = np.lexsort((y, group))
    ends = np.append(begins[1:], len(x)) - 1
    kept = np.unique(np.concatenate([begins, ends, by_value[begins], by_value[ends]]))
    return x[kept], y[kept], np.flatnonzero(np.diff(piece[kept])) + 1


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:_LISTED])
    return f"{shown} and {len(names) - _LISTED:,} more" if len(names) > _LISTED else shown


def _day(us: NDArray[np.int64]) -> NDArray[np.datetime64]:
    return us.astype("datetime64[us]")


def _file_name(device: str) -> str:
    """Make a file's name of a device's: `/` and what else has a meaning in paths is percent-encoded."""
    name = quote(device, safe=" ()+,=@")
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}-{hashlib.blake2b(device.encode(), digest_size=4).hexdigest()}"
    return name
