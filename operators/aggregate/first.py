"""The value with the earliest event time; among equal times the one that arrived first. Of no values it is missing."""

from __future__ import annotations

from typing import ClassVar

from operators.aggregate.base import Arrays, Into, Of, OneValue, Times, Values
from operators.kernel import kernel


class First(OneValue):
    """The earliest value by event time; of the column's type, int for a bool."""

    timed: ClassVar[bool] = True

    def update(self, arrays: Arrays, into: Into, of: Of, ts: Times, values: Values) -> None:
        """Keep the earliest value."""
        _first(into, of, ts, values, arrays["seen"], arrays["at"], arrays["value"])


@kernel
def _first(into, of, ts, values, seen, at, value):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for op in range(len(into)):
        pane, what = into[op], of[op]
        if pane < 0:
            continue
        if what >= 0:
            time, new = ts[what], values[what]
        elif seen[~what]:
            time, new = at[~what], value[~what]
        else:
            continue
        if not seen[pane] or time < at[pane]:
            seen[pane] = True
            at[pane] = time
            value[pane] = new
