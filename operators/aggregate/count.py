"""How many rows: `count()` counts all, `count(column)` those whose value isn't missing."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numba import njit

from operators.aggregate.base import Aggregate, Arrays, Times, Values
from operators.batch import Column, Type


class Count(Aggregate):
    """Number of rows, or of rows in which the column isn't missing; int."""

    accepts: ClassVar[frozenset[Type]] = frozenset(Type)
    needs_column: ClassVar[bool] = False
    result = Type.INT

    def __init__(self, column: Type | None) -> None:
        """Keep a number a pane."""
        super().__init__(column)
        self.fields = {"n": (np.int64, 0)}

    def update(self, arrays: Arrays, pane: Times, ts: Times, values: Values) -> None:  # noqa: ARG002  # the shape of every aggregate
        """Count the rows."""
        _count(pane, arrays["n"])

    def finish(self, arrays: Arrays) -> Column:
        """Give the counts."""
        return arrays["n"]


@njit(cache=True, nogil=True)
def _count(pane, n):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for row in range(len(pane)):
        if pane[row] >= 0:
            n[pane[row]] += 1
