"""When a column was smallest: the event time of its smallest value; of several, of the earliest. Of no values it is missing."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from operators.aggregate.base import Arrays, Into, Of, OneValue, Panes, Span, Times, Values
from operators.batch import MISSING_INT, Column, Type
from operators.kernel import kernel


class Argmin(OneValue):
    """When the smallest value was, the earliest of several; time."""

    timed: ClassVar[bool] = True

    def __init__(self, column: Type | None, number: float | None = None) -> None:
        """Keep the value and its time."""
        super().__init__(column, number)
        self.result = Type.TIME

    def update(self, arrays: Arrays, into: Into, of: Of, ts: Times, values: Values) -> None:
        """Keep the smallest value and its time."""
        _argmin(into, of, ts, values, arrays["seen"], arrays["at"], arrays["value"])

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:  # noqa: ARG002  # the shape of every aggregate
        """Give the times."""
        return np.where(arrays["seen"][pane], arrays["at"][pane], MISSING_INT)


@kernel
def _argmin(into, of, ts, values, seen, at, value):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for op in range(len(into)):
        pane, what = into[op], of[op]
        if pane < 0:
            continue
        if what >= 0:
            time, new = ts[what], values[what]
        elif seen[~what]:
            time, new = at[~what], value[~what]
        else:
            continue
        if not seen[pane] or new < value[pane] or (new == value[pane] and time < at[pane]):
            seen[pane] = True
            at[pane] = time
            value[pane] = new
