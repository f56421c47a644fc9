"""The largest value of a column. Of no values it is missing."""

from __future__ import annotations

from operators.aggregate.base import Arrays, Into, Of, OneValue, Times, Values
from operators.kernel import kernel


class Max(OneValue):
    """The largest value; of the column's type, int for a bool."""

    def update(self, arrays: Arrays, into: Into, of: Of, ts: Times, values: Values) -> None:  # noqa: ARG002  # the shape of every aggregate
        """Keep the largest value."""
        _max(into, of, values, arrays["seen"], arrays["value"])


@kernel
def _max(into, of, values, seen, value):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for op in range(len(into)):
        pane, what = into[op], of[op]
        if pane < 0:
            continue
        if what >= 0:
            new = values[what]
        elif seen[~what]:
            new = value[~what]
        else:
            continue
        if not seen[pane] or new > value[pane]:
            seen[pane] = True
            value[pane] = new
