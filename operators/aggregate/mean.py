"""The arithmetic mean of a column, from a compensated sum. A mean of no values is missing."""

from __future__ import annotations

import numpy as np

from operators.aggregate.base import Arrays, Panes, Span
from operators.aggregate.sum import Sum, total_of
from operators.batch import Column, Type


class Mean(Sum):
    """Arithmetic mean of the values; float (the share of true values, for a bool)."""

    def __init__(self, column: Type | None, number: float | None = None) -> None:  # noqa: ARG002  # ints are summed as floats: no overflow
        """Sum as floats, whatever the column."""
        super().__init__(Type.FLOAT)

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:  # noqa: ARG002  # the shape of every aggregate
        """Give the means."""
        n = arrays["n"][pane]
        return np.where(n > 0, total_of(arrays, pane) / np.maximum(n, 1), np.nan)
