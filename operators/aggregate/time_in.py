"""For how long a condition held: `time_in(pressure > 4)`, in seconds.

Each reading holds until the next one. In tumbling and hopping windows the last one holds to the window's end, and the
reading before the window from its start to its first reading, so the times of windows that follow each other add up.
Where the condition is missing, as one of a missing value is, the reading before goes on holding. Of no values it is
missing. Readings may come out of order, within bounds: docs/time.md says which, and which reading is the one before a
window.
"""

from __future__ import annotations

from typing import ClassVar

from operators.aggregate.base import Arrays, Panes, Span
from operators.aggregate.ordered import AREA, InOrder, found, unscaled
from operators.batch import Column, Type
from operators.duration import UNITS


class TimeIn(InOrder):
    """Seconds for which a bool column or a condition was true; float."""

    accepts: ClassVar[frozenset[Type]] = frozenset({Type.BOOL})

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:
        """Give the times."""
        return unscaled(found(arrays, pane, span)[AREA] / UNITS["s"])
