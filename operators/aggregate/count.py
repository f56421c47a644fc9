"""How many rows: `count()` counts all, `count(column)` those whose value isn't missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from operators.aggregate.base import Aggregate
from operators.batch import Column, Type


class Count(Aggregate):
    """Number of rows, or of rows in which the column isn't missing; int."""

    accepts: ClassVar[frozenset[Type]] = frozenset(Type)
    needs_column: ClassVar[bool] = False
    result = Type.INT
    fields: Mapping[str, tuple[type[np.generic], Any]] = {"n": (np.int64, 0)}

    def update(
        self,
        arrays: Mapping[str, NDArray[Any]],
        pane: NDArray[np.int64],
        ts: NDArray[np.int64],  # noqa: ARG002  # the shape of every aggregate
        values: NDArray[Any] | None,  # noqa: ARG002  # the shape of every aggregate
    ) -> None:
        """Count the rows."""
        _count(pane, arrays["n"])

    def finish(self, arrays: Mapping[str, NDArray[Any]]) -> Column:
        """Give the counts."""
        return arrays["n"]


@njit(cache=True, nogil=True)
def _count(pane, n):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for row in range(len(pane)):
        if pane[row] >= 0:
            n[pane[row]] += 1
