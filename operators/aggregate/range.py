"""How far the values of a column lie apart: the largest less the smallest.

Of ints it is exact, and missing where it doesn't fit in 64 bits. Infinite where one value is; missing where all are
infinite in the same way. Of no values it is missing.
"""

from __future__ import annotations

import numpy as np

from operators.aggregate.base import Aggregate, Arrays, Into, Of, Panes, Span, Times, Values, empty_of
from operators.batch import MISSING_INT, Column, Type
from operators.kernel import kernel


class Range(Aggregate):
    """The largest value less the smallest; of the column's type, int for a bool."""

    def __init__(self, column: Type | None, number: float | None = None) -> None:
        """Keep both, and whether there was any value."""
        super().__init__(column, number)
        self.result = Type.FLOAT if column is Type.FLOAT else Type.INT
        empty = empty_of(self.result)
        self.fields = {"seen": (np.bool_, False), "low": (type(empty), empty), "high": (type(empty), empty)}

    def update(self, arrays: Arrays, into: Into, of: Of, ts: Times, values: Values) -> None:  # noqa: ARG002  # the shape of every aggregate
        """Keep the smallest and the largest value."""
        _range(into, of, values, arrays["seen"], arrays["low"], arrays["high"])

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:  # noqa: ARG002  # as above
        """Give the differences."""
        with np.errstate(over="ignore", invalid="ignore"):
            apart = arrays["high"][pane] - arrays["low"][pane]
        if self.result is Type.FLOAT:
            return np.asarray(apart)
        # One that doesn't fit has come out below zero.
        return np.where(arrays["seen"][pane] & (apart >= 0), apart, MISSING_INT)


@kernel
def _range(into, of, values, seen, low, high):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for op in range(len(into)):
        pane, what = into[op], of[op]
        if pane < 0:
            continue
        if what >= 0:
            small = large = values[what]
        elif seen[~what]:
            small, large = low[~what], high[~what]
        else:
            continue
        if not seen[pane] or small < low[pane]:
            low[pane] = small
        if not seen[pane] or large > high[pane]:
            high[pane] = large
        seen[pane] = True
