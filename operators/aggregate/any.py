"""Whether a condition was ever true: `any(pressure > 4)`. Missing values are passed over; of no values it is missing."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from operators.aggregate.base import Aggregate, Arrays, Into, Of, Panes, Span, Times, Values
from operators.batch import MISSING_BOOL, Column, Type
from operators.kernel import kernel


class Any(Aggregate):
    """Whether a bool column or a condition was true at least once; bool."""

    accepts: ClassVar[frozenset[Type]] = frozenset({Type.BOOL})
    result = Type.BOOL

    def __init__(self, column: Type | None, number: float | None = None) -> None:
        """Keep whether there was a true value, and whether there was a false one."""
        super().__init__(column, number)
        self.fields = {"yes": (np.bool_, False), "no": (np.bool_, False)}

    def update(self, arrays: Arrays, into: Into, of: Of, ts: Times, values: Values) -> None:  # noqa: ARG002  # the shape of every aggregate
        """Note which values there were."""
        _note(into, of, values, arrays["yes"], arrays["no"])

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:  # noqa: ARG002  # as above
        """Say it of each pane."""
        yes, no = arrays["yes"][pane], arrays["no"][pane]
        return np.where(yes | no, yes.astype(np.int8), MISSING_BOOL)


@kernel
def _note(into, of, values, yes, no):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for op in range(len(into)):
        pane, what = into[op], of[op]
        if pane < 0:
            continue
        if what < 0:
            yes[pane] |= yes[~what]
            no[pane] |= no[~what]
        elif values[what] != 0:
            yes[pane] = True
        else:
            no[pane] = True
