"""The sample variance of a column: squared deviations from the mean, divided by one less than the number of values.

It is missing below two values, and where a value is infinite. Welford's method ("Note on a method for calculating
corrected sums of squares and products", Technometrics 4(3), 1962), merged by that of Chan, Golub and LeVeque ("Updating
formulae and a pairwise algorithm for computing sample variances", Stanford STAN-CS-79-773, 1979), on the values less
the first of them: so values that lie close together far from zero keep their digits, and large ints too. Deviations are
squared as floats: below 1e-145 they may vanish, and a variance beyond 1.8e308 is infinite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.aggregate.base import Aggregate, Arrays, Into, Of, Panes, Span, Times, Values
from operators.batch import Column, Type
from operators.kernel import kernel

SCALE = 2.0**-40
"""Differences are kept in units of 2**40, so that no sum of squares overflows before the variance does."""


class Var(Aggregate):
    """Sample variance of the values; float, in the column's unit squared."""

    result = Type.FLOAT

    def __init__(self, column: Type | None, number: float | None = None) -> None:
        """Keep the first value, the mean difference from it, and the sum of squares."""
        super().__init__(column, number)
        value = np.float64 if column is Type.FLOAT else np.int64
        self.fields: dict[str, tuple[Any, Any]] = {
            "n": (np.int64, 0),
            "origin": (value, 0),
            "mean": (np.float64, 0.0),
            "squares": (np.float64, 0.0),
        }

    def update(self, arrays: Arrays, into: Into, of: Of, ts: Times, values: Values) -> None:  # noqa: ARG002  # the shape of every aggregate
        """Take in the values."""
        _spread(into, of, values, arrays["n"], arrays["origin"], arrays["mean"], arrays["squares"])

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:  # noqa: ARG002  # as above
        """Give the variances."""
        with np.errstate(over="ignore"):
            return scaled_variance(arrays, pane) / SCALE**2


def scaled_variance(arrays: Arrays, pane: Panes) -> NDArray[np.float64]:
    """Give the variances in units of 2**80; NaN below two values."""
    n = arrays["n"][pane]
    return np.where(n > 1, arrays["squares"][pane] / np.maximum(n - 1, 1), np.nan)


@kernel
def _difference(value, origin):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Give a difference in units of 2**40; one of ints is exact where both have the same sign."""
    if (value < 0) == (origin < 0):
        return float(value - origin) * SCALE
    return float(value) * SCALE - float(origin) * SCALE


@kernel
def _spread(into, of, values, n, origin, mean, squares):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for op in range(len(into)):
        pane, what = into[op], of[op]
        if pane < 0:
            continue
        if what >= 0:
            if n[pane] == 0:
                origin[pane] = values[what]
            n[pane] += 1
            value = _difference(values[what], origin[pane])
            off = value - mean[pane]
            mean[pane] += off / n[pane]
            squares[pane] += off * (value - mean[pane])
        elif n[~what] > 0:
            source = ~what
            if n[pane] == 0:
                origin[pane] = origin[source]
            both = n[pane] + n[source]
            off = _difference(origin[source], origin[pane]) + (mean[source] - mean[pane])
            mean[pane] += off * (n[source] / both)
            squares[pane] += squares[source] + off * (n[pane] * (n[source] / both)) * off
            n[pane] = both
