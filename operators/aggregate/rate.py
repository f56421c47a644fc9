"""By how much a counter increases per second.

The increases between readings that follow each other, divided by the seconds from the first to the last. A reading
below the one before it is a reset: the counter began again at zero, and the reading itself is the increase. In
tumbling and hopping windows the increase from the reading before the window to its first one counts too, in this
window, and the time is from that reading on; so nothing is lost between windows. Increases of ints are exact before
they are added up. Missing values are passed over. Where there is no time between readings, as of a single one with
none before it, it is missing. Readings may come out of order, within bounds: docs/time.md says which, and which
reading is the one before a window.

The treatment of resets is that of `rate` in Prometheus, without its extrapolation to the window's bounds.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from operators.aggregate.base import Arrays, Panes, Span
from operators.aggregate.ordered import PASSED, RISE, InOrder, found, unscaled
from operators.batch import Column, Type
from operators.duration import UNITS


class Rate(InOrder):
    """Increase of a counter per second, resets seen through; float."""

    accepts: ClassVar[frozenset[Type]] = frozenset({Type.FLOAT, Type.INT})

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:
        """Give the rates."""
        what = found(arrays, pane, span)
        some = what[PASSED] > 0
        return np.where(some, unscaled(what[RISE] / np.where(some, what[PASSED], 1) * UNITS["s"]), np.nan)
