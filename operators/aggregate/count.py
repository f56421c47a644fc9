"""How many rows: `count()` counts all, `count(column)` those whose value isn't missing."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from operators.aggregate.base import Aggregate, Arrays, Into, Of, Panes, Span, Times, Values
from operators.batch import Column, Type
from operators.kernel import kernel


class Count(Aggregate):
    """Number of rows, or of rows in which the column isn't missing; int."""

    accepts: ClassVar[frozenset[Type]] = frozenset(Type)
    needs_column: ClassVar[bool] = False
    result = Type.INT

    def __init__(self, column: Type | None, number: float | None = None) -> None:
        """Keep a number a pane."""
        super().__init__(column, number)
        self.fields = {"n": (np.int64, 0)}

    def update(self, arrays: Arrays, into: Into, of: Of, ts: Times, values: Values) -> None:  # noqa: ARG002  # the shape of every aggregate
        """Count the rows."""
        _count(into, of, arrays["n"])

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:  # noqa: ARG002  # as above
        """Give the counts."""
        return arrays["n"][pane]


@kernel
def _count(into, of, n):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for at in range(len(into)):
        pane, what = into[at], of[at]
        if pane >= 0:
            n[pane] += 1 if what >= 0 else n[~what]
