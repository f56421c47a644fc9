"""The value with the earliest event time; among equal times the one that arrived first. Of no values it is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from operators.aggregate.base import Aggregate, empty_of
from operators.batch import Column, Type


class First(Aggregate):
    """The earliest value by event time; of the column's type, int for a bool."""

    accepts: ClassVar[frozenset[Type]] = Aggregate.accepts | {Type.TIME}

    def __init__(self, column: Type | None) -> None:
        """Keep one value and its time a pane."""
        super().__init__(column)
        self.result = Type.INT if column is Type.BOOL or column is None else column
        empty = empty_of(self.result)
        self.fields = {"seen": (np.bool_, False), "at": (np.int64, 0), "value": (type(empty), empty)}

    def update(
        self,
        arrays: Mapping[str, NDArray[Any]],
        pane: NDArray[np.int64],
        ts: NDArray[np.int64],
        values: NDArray[Any] | None,
    ) -> None:
        """Keep the earliest value."""
        _first(pane, ts, values, arrays["seen"], arrays["at"], arrays["value"])

    def finish(self, arrays: Mapping[str, NDArray[Any]]) -> Column:
        """Give the earliest values."""
        return arrays["value"]


@njit(cache=True, nogil=True)
def _first(pane, ts, values, seen, at, value):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for row in range(len(pane)):
        p = pane[row]
        if p >= 0 and (not seen[p] or ts[row] < at[p]):
            seen[p] = True
            at[p] = ts[row]
            value[p] = values[row]
