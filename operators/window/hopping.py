"""Windows of one size, of which a new one begins every `slide`: a row belongs to each window that covers it.

A window holds the rows with `window_start <= ts < window_end`. It closes when its device's watermark reaches its end,
and gives one row then. A row goes into the windows that are still open; one for which all have closed goes to the side
output `late`, and one for which some have is counted: the run's summary says how many. The slide needn't divide the
size; where it is larger, rows between two windows belong to none. A row is in at most 100,000 windows.

    size 10s, slide 5s    0s        5s        10s       15s       20s
    readings                  a          b        c  d
                      ---------)         |         |         |
                          [--- a ------- b --------)
                                    [--- b ------- c  d -----)
                                              [--- c  d ---------------)

An event costs one update, whatever the overlap: it goes into a slice, and windows are put together from slices.

Example:
    steps:
      - window:
          hopping: {size: 1m, slide: 10s}
          aggregate: {t_mean: mean(temperature), n: count()}
"""

from __future__ import annotations

from math import gcd
from typing import ClassVar

from pydantic import Field, model_validator
from typing_extensions import Self

from operators.base import Inputs, Snapshot, unfit
from operators.duration import PositiveDuration, format_duration
from operators.time import Instant
from operators.window.base import EarlyWindow
from operators.window.slices import Slices

MOST_WINDOWS = 100_000
"""Windows that a row may be in: each gives a row of its own."""


class Hopping(EarlyWindow):
    """Windows of one size, of which a new one begins every `slide`."""

    primary: ClassVar[str] = "size"

    size: PositiveDuration = Field(description="Length of a window, such as `1m`.")
    slide: PositiveDuration = Field(description="How far a window begins behind the one before, such as `5s`.")
    origin: Instant = Field(
        0, description="A time at which a window begins, such as `2026-01-05` or `2026-01-01T06:00Z`."
    )

    @model_validator(mode="after")
    def _not_too_many(self) -> Self:
        if self.size > MOST_WINDOWS * self.slide:
            expected = f"a slide by which a row is in at most {MOST_WINDOWS:,} windows"
            least = format_duration(-(-self.size // MOST_WINDOWS))
            raise unfit(expected, at="slide", fix=f"{least} or more; is its unit right?")
        return self

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> Slices:
        """Make a state with no window open, or go on from a snapshot."""
        return Slices(self, inputs, (self.origin, self.size, self.slide, self.early or 0), resume=resume)

    def reach(self) -> int:
        """A window is open for at most its size behind the last row in it."""
        return self.size

    def grain(self) -> int:
        """Windows end at multiples of the slide behind the first one's end."""
        return gcd(self.slide, self.origin + self.size)
