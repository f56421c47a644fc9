"""The arithmetic mean of a column, from a compensated sum. A mean of no values is missing."""

from __future__ import annotations

import numpy as np

from operators.aggregate.base import Arrays, Times, Values
from operators.aggregate.sum import Sum, total_of
from operators.batch import Column, Type


class Mean(Sum):
    """Arithmetic mean of the values; float (the share of true values, for a bool)."""

    def __init__(self, column: Type | None) -> None:  # noqa: ARG002  # ints are summed as floats: no overflow
        """Sum as floats, whatever the column."""
        super().__init__(Type.FLOAT)

    def update(self, arrays: Arrays, pane: Times, ts: Times, values: Values) -> None:
        """Add the values."""
        super().update(arrays, pane, ts, None if values is None else values.astype(np.float64, copy=False))

    def finish(self, arrays: Arrays) -> Column:
        """Give the means."""
        n = arrays["n"]
        return np.where(n > 0, total_of(arrays) / np.maximum(n, 1), np.nan)
