"""Windows of one size, one behind the other: each row belongs to exactly one.

A window holds the rows with `window_start <= ts < window_end`. It closes when its device's watermark reaches its end,
and gives one row then. A row for a window that has closed goes to the side output `late`.

    lateness 5s        10:00:00        10:00:10        10:00:20
    readings              a   b            c    d          e
                       [---------------)[--------------)[---
    closed by                                  d: the watermark is at 10:00:10 when ts reaches 10:00:15

Windows are counted from 1970-01-01T00:00Z, or from `origin`. With a `time_zone`, windows of days and longer begin at
midnight there, so a day has 23 or 25 hours when the clocks change. Weeks begin on Monday with `origin: 1970-01-05`.

Example:
    steps:
      - window:
          tumbling: 1m
          aggregate: {t_mean: mean(temperature), n: count()}
"""

from __future__ import annotations

from math import gcd
from typing import ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, model_validator
from typing_extensions import Self

from operators.base import Inputs, Snapshot, unfit
from operators.duration import UNITS, PositiveDuration
from operators.time import Instant
from operators.window.base import EarlyWindow
from operators.window.slices import Slices

_DAY = UNITS["d"]
_FIRST, _LAST = -70 * 366, 230 * 366
"""The days since 1970 for which a calendar is made: from 1900 to 2200. Before and behind, days have 24 hours."""


class Tumbling(EarlyWindow):
    """Windows of one size, one behind the other."""

    primary: ClassVar[str] = "size"

    size: PositiveDuration = Field(description="Length of a window, such as `1m`.")
    origin: Instant = Field(
        0, description="A time at which a window begins, such as `2026-01-05` or `2026-01-01T06:00Z`."
    )
    time_zone: str | None = Field(
        None, description="Time zone in which windows of whole days begin, such as `Europe/Berlin`; UTC if left out."
    )

    @model_validator(mode="after")
    def _whole_days(self) -> Self:
        if self.time_zone is None:
            return self
        if self.size % _DAY:
            expected = "whole days with a `time_zone`"
            raise unfit(expected, at="size", fix="leave `time_zone` out, and give an `origin` that is midnight there")
        if self.origin % _DAY:
            expected = "a date with a `time_zone`, since windows begin at midnight there"
            raise unfit(expected, at="origin")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            expected = "a time zone of the IANA database, such as Europe/Berlin"
            raise unfit(expected, at="time_zone") from None
        return self

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> Slices:
        """Make a state with no window open, or go on from a snapshot."""
        marks = None if self.time_zone is None else _midnights(self.time_zone, self.size // _DAY, self.origin // _DAY)
        return Slices(self, inputs, (self.origin, self.size, self.size, self.early or 0), marks, resume=resume)

    def reach(self) -> int:
        """A window is open for at most its size behind the last row in it."""
        return self.size + (_DAY if self.time_zone else 0)

    def grain(self) -> int:
        """Windows end at multiples of their size behind the origin; time zones differ by quarters of an hour."""
        return _DAY // 96 if self.time_zone else gcd(self.size, self.origin)


def _midnights(zone: str, days: int, origin: int) -> NDArray[np.int64]:
    """Give the times, us since 1970, at which windows of some days begin in a time zone."""
    first = _FIRST + (origin - _FIRST) % days
    dates = pl.Series(np.arange(first, _LAST, days, dtype=np.int64)).cast(pl.Int32).cast(pl.Date)
    # Where midnight is skipped, the day begins when the clocks have gone forward; where it comes twice, at the first. A
    # whole day is skipped where a country has changed sides of the date line.
    local = dates.cast(pl.Datetime("us"))
    midnight = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    skipped = local.dt.offset_by("1h").dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return np.asarray(midnight.fill_null(skipped).drop_nulls().dt.epoch("us").to_numpy(), np.int64)
