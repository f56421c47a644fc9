"""The sample standard deviation of a column: the square root of its variance, from the same numbers as `var`.

It is missing below two values, and where a value is infinite. See `var` for the method.
"""

from __future__ import annotations

import numpy as np

from operators.aggregate.base import Arrays, Panes, Span
from operators.aggregate.var import SCALE, Var, scaled_variance
from operators.batch import Column


class Std(Var):
    """Sample standard deviation of the values; float, in the column's unit."""

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:  # noqa: ARG002  # the shape of every aggregate
        """Give the standard deviations."""
        return np.asarray(np.sqrt(scaled_variance(arrays, pane)) / SCALE)
