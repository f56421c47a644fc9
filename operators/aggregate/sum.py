"""The sum of a column.

Float sums are compensated (Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", ZAMM
54, 1974), so a million small readings behind a large one aren't lost. Int sums are exact; one that doesn't fit in 64
bits is missing. A sum of no values is missing, as in SQL.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.aggregate.base import Aggregate, Arrays, Into, Of, Panes, Span, Times, Values
from operators.batch import MISSING_INT, Column, Type
from operators.kernel import kernel


class Sum(Aggregate):
    """Sum of the values; float of a float column, else int (a bool counts as 0 or 1)."""

    def __init__(self, column: Type | None, number: float | None = None) -> None:
        """Choose compensated or exact."""
        super().__init__(column, number)
        self.result = Type.FLOAT if column is Type.FLOAT else Type.INT
        # The halves are added apart, so only a sum that doesn't fit is missing, whatever the order of its values.
        self.fields: dict[str, tuple[Any, Any]] = {"n": (np.int64, 0), "high": (np.int64, 0), "low": (np.int64, 0)}
        if column is Type.FLOAT:
            self.fields = {"n": (np.int64, 0), "total": (np.float64, 0.0), "lost": (np.float64, 0.0)}

    def update(self, arrays: Arrays, into: Into, of: Of, ts: Times, values: Values) -> None:  # noqa: ARG002  # the shape of every aggregate
        """Add the values."""
        if "lost" in arrays:
            _add_float(into, of, values, arrays["n"], arrays["total"], arrays["lost"])
        else:
            _add_int(into, of, values, arrays["n"], arrays["high"], arrays["low"])

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:  # noqa: ARG002  # as above
        """Give the sums."""
        some = arrays["n"][pane] > 0
        if "lost" in arrays:
            return np.where(some, total_of(arrays, pane), np.nan)
        low = arrays["low"][pane]
        high = arrays["high"][pane] + (low >> 32)
        fits = (high >= -(2**31)) & (high < 2**31)
        return np.where(some & fits, (high << 32) | (low & 0xFFFFFFFF), MISSING_INT)


def total_of(arrays: Arrays, pane: Panes) -> NDArray[np.float64]:
    """Give the compensated float sums; where a value was infinite there is nothing to compensate."""
    total = arrays["total"][pane]
    return np.asarray(total + np.where(np.isfinite(total), arrays["lost"][pane], 0.0))


@kernel
def _add_float(into, of, values, n, total, lost):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for at in range(len(into)):
        pane, what = into[at], of[at]
        if pane < 0:
            continue
        if what >= 0:
            value = float(values[what])
            n[pane] += 1
        else:
            value = total[~what]
            n[pane] += n[~what]
            lost[pane] += lost[~what]
        before = total[pane]
        after = before + value
        # What the smaller of the two loses in the addition, kept apart (test_sum.py: 1e16 and ones).
        if abs(before) >= abs(value):
            lost[pane] += (before - after) + value
        else:
            lost[pane] += (value - after) + before
        total[pane] = after


@kernel
def _add_int(into, of, values, n, high, low):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for at in range(len(into)):
        pane, what = into[at], of[at]
        if pane < 0:
            continue
        if what >= 0:
            n[pane] += 1
            high[pane] += values[what] >> 32
            low[pane] += values[what] & 0xFFFFFFFF
        else:
            n[pane] += n[~what]
            high[pane] += high[~what]
            low[pane] += low[~what]
