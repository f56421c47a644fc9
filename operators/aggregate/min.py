"""The smallest value of a column. Of no values it is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from operators.aggregate.base import Aggregate, empty_of
from operators.batch import Column, Type


class Min(Aggregate):
    """The smallest value; of the column's type, int for a bool."""

    accepts: ClassVar[frozenset[Type]] = Aggregate.accepts | {Type.TIME}

    def __init__(self, column: Type | None) -> None:
        """Keep one value a pane."""
        super().__init__(column)
        self.result = Type.INT if column is Type.BOOL or column is None else column
        empty = empty_of(self.result)
        self.fields = {"seen": (np.bool_, False), "value": (type(empty), empty)}

    def update(
        self,
        arrays: Mapping[str, NDArray[Any]],
        pane: NDArray[np.int64],
        ts: NDArray[np.int64],  # noqa: ARG002  # the shape of every aggregate
        values: NDArray[Any] | None,
    ) -> None:
        """Keep the smallest value."""
        _min(pane, values, arrays["seen"], arrays["value"])

    def finish(self, arrays: Mapping[str, NDArray[Any]]) -> Column:
        """Give the smallest values."""
        return arrays["value"]


@njit(cache=True, nogil=True)
def _min(pane, values, seen, value):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for row in range(len(pane)):
        p = pane[row]
        if p >= 0 and (not seen[p] or values[row] < value[p]):
            seen[p] = True
            value[p] = values[row]
