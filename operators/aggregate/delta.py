"""By how much a column has changed: its last value less its first, by event time.

Of equal times the one that arrived first is the first, and the one that arrived last the last, as in `first` and `last`. Of
ints it is exact, and missing where it doesn't fit in 64 bits. Missing too where both are infinite in the same way. Of one value it is
0 (missing if that is infinite), of no values missing. What happens between windows isn't in it: for a counter take `rate`.
"""

from __future__ import annotations

import numpy as np

from operators.aggregate.base import Aggregate, Arrays, Into, Of, Panes, Span, Times, Values, empty_of
from operators.batch import MISSING_INT, Column, Type
from operators.kernel import kernel


class Delta(Aggregate):
    """The last value less the first, by event time; of the column's type, int for a bool."""

    def __init__(self, column: Type | None, number: float | None = None) -> None:
        """Keep both with their times, and whether there was any value."""
        super().__init__(column, number)
        self.result = Type.FLOAT if column is Type.FLOAT else Type.INT
        empty = empty_of(self.result)
        self.fields = {
            "seen": (np.bool_, False),
            "first_at": (np.int64, 0),
            "first": (type(empty), empty),
            "last_at": (np.int64, 0),
            "last": (type(empty), empty),
        }

    def update(self, arrays: Arrays, into: Into, of: Of, ts: Times, values: Values) -> None:
        """Keep the earliest and the latest value."""
        _ends(
            into, of, ts, values,
            arrays["seen"], arrays["first_at"], arrays["first"], arrays["last_at"], arrays["last"],
        )  # fmt: skip

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:  # noqa: ARG002  # the shape of every aggregate
        """Give the differences."""
        first, last = arrays["first"][pane], arrays["last"][pane]
        with np.errstate(over="ignore", invalid="ignore"):
            change = last - first
        if self.result is Type.FLOAT:
            return np.asarray(change)
        # One that doesn't fit has come out with the sign of neither.
        fits = ((last ^ first) & (last ^ change)) >= 0
        return np.where(arrays["seen"][pane] & fits, change, MISSING_INT)


@kernel
def _ends(into, of, ts, values, seen, first_at, first, last_at, last):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for op in range(len(into)):
        pane, what = into[op], of[op]
        if pane < 0:
            continue
        if what >= 0:
            begin = end = ts[what]
            old = new = values[what]
        elif seen[~what]:
            begin, end = first_at[~what], last_at[~what]
            old, new = first[~what], last[~what]
        else:
            continue
        if not seen[pane] or begin < first_at[pane]:
            first_at[pane] = begin
            first[pane] = old
        if not seen[pane] or end >= last_at[pane]:
            last_at[pane] = end
            last[pane] = new
        seen[pane] = True
