"""The integral of a column over time: value x seconds, each reading holding until the next one.

In tumbling and hopping windows the last reading holds to the window's end, and the reading before the window from its
start to its first reading, so the integrals of windows that follow each other add up. The energy in Wh of a power in W
is `integral(power / 3600)`. Missing values are passed over: the reading before them goes on holding. Of no values it
is missing, whatever came before the window. An infinite value that holds for any time makes it infinite. Readings may
come out of order, within bounds: docs/time.md says which, and which reading is the one before a window.
"""

from __future__ import annotations

from operators.aggregate.base import Arrays, Panes, Span
from operators.aggregate.ordered import AREA, InOrder, found, unscaled
from operators.batch import Column
from operators.duration import UNITS


class Integral(InOrder):
    """Value x seconds, each reading holding until the next one; float, in the column's unit x s."""

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:
        """Give the integrals."""
        return unscaled(found(arrays, pane, span)[AREA] / UNITS["s"])
