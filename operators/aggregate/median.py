"""The middle one of a column's values in order; of an even number the mean of the two in the middle.

It is `percentile(x, 50)`: see there for how exact it is, what it takes, and the source. Missing values don't count; of no
values it is missing. Percentiles of the same column share what they keep with it.
"""

from __future__ import annotations

import re
from typing import ClassVar

from operators.aggregate.percentile import Percentile
from operators.batch import Type


class Median(Percentile):
    """The middle one of the values in order; float."""

    number: ClassVar[str | None] = None
    short: ClassVar[re.Pattern[str] | None] = None

    def __init__(self, column: Type | None, number: float | None = None) -> None:  # noqa: ARG002  # there is but one
        """Keep a sketch."""
        super().__init__(column, 50)
