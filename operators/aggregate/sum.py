"""The sum of a column.

Float sums are compensated (Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", ZAMM
54, 1974), so a million small readings behind a large one aren't lost. Int sums are exact; one that leaves 64 bits is
missing. A sum of no values is missing, as in SQL.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from operators.aggregate.base import Aggregate, Arrays, Times, Values
from operators.batch import MISSING_INT, Column, Type


class Sum(Aggregate):
    """Sum of the values; float of a float column, else int (a bool counts as 0 or 1)."""

    def __init__(self, column: Type | None) -> None:
        """Choose compensated or exact."""
        super().__init__(column)
        self.result = Type.FLOAT if column is Type.FLOAT else Type.INT
        self.fields = {"n": (np.int64, 0), "total": (np.int64, 0), "overflow": (np.bool_, False)}
        if column is Type.FLOAT:
            self.fields = {"n": (np.int64, 0), "total": (np.float64, 0.0), "lost": (np.float64, 0.0)}

    def update(self, arrays: Arrays, pane: Times, ts: Times, values: Values) -> None:  # noqa: ARG002  # the shape of every aggregate
        """Add the values."""
        if "lost" in arrays:
            _add_float(pane, values, arrays["n"], arrays["total"], arrays["lost"])
        else:
            _add_int(pane, values, arrays["n"], arrays["total"], arrays["overflow"])

    def finish(self, arrays: Arrays) -> Column:
        """Give the sums."""
        if "lost" in arrays:
            return np.where(arrays["n"] > 0, total_of(arrays), np.nan)
        return np.where((arrays["n"] > 0) & ~arrays["overflow"], arrays["total"], MISSING_INT)


def total_of(arrays: Arrays) -> NDArray[np.float64]:
    """Give the compensated float sums; where a value was infinite there is nothing to compensate."""
    total = arrays["total"]
    return total + np.where(np.isfinite(total), arrays["lost"], 0.0)


@njit(cache=True, nogil=True)
def _add_float(pane, values, n, total, lost):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for row in range(len(pane)):
        p = pane[row]
        if p >= 0:
            value = values[row]
            before = total[p]
            after = before + value
            # What the smaller of the two loses in the addition, kept apart (test_sum.py: 1e16 and ones).
            if abs(before) >= abs(value):
                lost[p] += (before - after) + value
            else:
                lost[p] += (value - after) + before
            total[p] = after
            n[p] += 1


@njit(cache=True, nogil=True)
def _add_int(pane, values, n, total, overflow):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for row in range(len(pane)):
        p = pane[row]
        if p >= 0:
            before = total[p]
            after = before + values[row]
            # Two's complement wraps just when both have the sign that the result hasn't.
            if (before ^ after) & (values[row] ^ after) < 0:
                overflow[p] = True
            total[p] = after
            n[p] += 1
