"""The mean of a column over time: each reading counts for as long as it holds, which is until the next one.

It is the `integral` divided by the time that this covers. Take it instead of `mean` where readings come at irregular
times, such as only when a value has changed. Of readings that cover no time, such as a single one in a session, it is
the last value. Missing values are passed over: the reading before them goes on holding. Of no values it is missing. Of
a bool column or condition it is the share of time for which it was true. Readings may come out of order, within
bounds: docs/time.md says which, and which reading is the one before a window.
"""

from __future__ import annotations

import numpy as np

from operators.aggregate.base import Arrays, Panes, Span
from operators.aggregate.ordered import AREA, COVERED, LAST, InOrder, found, unscaled
from operators.batch import Column


class TimeWeightedMean(InOrder):
    """Mean in which each reading counts for as long as it holds; float."""

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:
        """Give the means."""
        what = found(arrays, pane, span)
        some = what[COVERED] > 0
        return np.where(some, unscaled(what[AREA] / np.where(some, what[COVERED], 1)), what[LAST])
