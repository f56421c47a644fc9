"""By how much a column rises per second: the slope of the straight line that fits its values best (least squares).

It is missing unless there are values at two different times, and where a value is infinite. Of values that lie on a line
it is that line's slope, however irregular their times. Sums of squares and products of the differences from the means
are kept and merged as variances are (Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing
sample variances", Stanford STAN-CS-79-773, 1979; for products: Pebay, Sandia report SAND2008-6212, 2008); times and
values are counted from the first that came, so neither the epoch nor a large offset costs digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from operators.aggregate.base import Aggregate, Arrays, Into, Of, Panes, Span, Times, Values
from operators.batch import Column, Type
from operators.duration import UNITS
from operators.kernel import kernel

_SCALE = 2.0**-100
"""Values are kept in units of 2**100, so that no product with a time overflows before the slope does."""


class Slope(Aggregate):
    """Least squares slope of the values over event time, per second; float."""

    result = Type.FLOAT

    def __init__(self, column: Type | None, number: float | None = None) -> None:
        """Keep the first time and value, the means of the differences from them, and two sums."""
        super().__init__(column, number)
        value = np.float64 if column is Type.FLOAT else np.int64
        self.fields: dict[str, tuple[Any, Any]] = {
            "n": (np.int64, 0),
            "begin": (np.int64, 0),
            "origin": (value, 0),
            "time": (np.float64, 0.0),
            "mean": (np.float64, 0.0),
            "squares": (np.float64, 0.0),
            "products": (np.float64, 0.0),
        }

    def update(self, arrays: Arrays, into: Into, of: Of, ts: Times, values: Values) -> None:
        """Take in the values."""
        _fit(
            into, of, ts, values, arrays["n"], arrays["begin"], arrays["origin"],
            arrays["time"], arrays["mean"], arrays["squares"], arrays["products"],
        )  # fmt: skip

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:  # noqa: ARG002  # the shape of every aggregate
        """Give the slopes."""
        squares = arrays["squares"][pane]
        some = squares > 0
        slope = arrays["products"][pane] / np.where(some, squares, 1) * UNITS["s"]
        with np.errstate(over="ignore"):
            return np.where(some, slope / _SCALE, np.nan)


@kernel
def _difference(value, origin):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Give a difference in units of 2**100; one of ints is exact where both have the same sign."""
    if (value < 0) == (origin < 0):
        return float(value - origin) * _SCALE
    return float(value) * _SCALE - float(origin) * _SCALE


@kernel
def _fit(into, of, ts, values, n, begin, origin, time, mean, squares, products):  # type: ignore[no-untyped-def]  # compiled
    for op in range(len(into)):
        pane, what = into[op], of[op]
        if pane < 0:
            continue
        if what >= 0:
            if n[pane] == 0:
                begin[pane], origin[pane] = ts[what], values[what]
            n[pane] += 1
            at = float(ts[what] - begin[pane])
            value = _difference(values[what], origin[pane])
            away = at - time[pane]
            time[pane] += away / n[pane]
            mean[pane] += (value - mean[pane]) / n[pane]
            squares[pane] += away * (at - time[pane])
            products[pane] += away * (value - mean[pane])
        elif n[~what] > 0:
            source = ~what
            if n[pane] == 0:
                begin[pane], origin[pane] = begin[source], origin[source]
            both = n[pane] + n[source]
            away = float(begin[source] - begin[pane]) + (time[source] - time[pane])
            off = _difference(origin[source], origin[pane]) + (mean[source] - mean[pane])
            share = n[source] / both
            time[pane] += away * share
            mean[pane] += off * share
            squares[pane] += squares[source] + away * away * (n[pane] * share)
            products[pane] += products[source] + away * off * (n[pane] * share)
            n[pane] = both
