"""The largest value of a column. Of no values it is missing."""

from __future__ import annotations

from numba import njit

from operators.aggregate.base import Arrays, OneValue, Times, Values


class Max(OneValue):
    """The largest value; of the column's type, int for a bool."""

    def update(self, arrays: Arrays, pane: Times, ts: Times, values: Values) -> None:  # noqa: ARG002  # the shape of every aggregate
        """Keep the largest value."""
        _max(pane, values, arrays["seen"], arrays["value"])


@njit(cache=True, nogil=True)
def _max(pane, values, seen, value):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for row in range(len(pane)):
        p = pane[row]
        if p >= 0 and (not seen[p] or values[row] > value[p]):
            seen[p] = True
            value[p] = values[row]
