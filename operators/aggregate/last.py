"""The value with the latest event time; among equal times the one that arrived last. Of no values it is missing."""

from __future__ import annotations

from typing import ClassVar

from numba import njit

from operators.aggregate.base import Arrays, OneValue, Times, Values


class Last(OneValue):
    """The latest value by event time; of the column's type, int for a bool."""

    timed: ClassVar[bool] = True

    def update(self, arrays: Arrays, pane: Times, ts: Times, values: Values) -> None:
        """Keep the latest value."""
        _last(pane, ts, values, arrays["seen"], arrays["at"], arrays["value"])


@njit(cache=True, nogil=True)
def _last(pane, ts, values, seen, at, value):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for row in range(len(pane)):
        p = pane[row]
        if p >= 0 and (not seen[p] or ts[row] >= at[p]):
            seen[p] = True
            at[p] = ts[row]
            value[p] = values[row]
