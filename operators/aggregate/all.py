"""Whether a condition was always true: `all(voltage > 3.3)`. Missing values are passed over; of no values it is missing."""

from __future__ import annotations

import numpy as np

from operators.aggregate.any import Any
from operators.aggregate.base import Arrays, Panes, Span
from operators.batch import MISSING_BOOL, Column


class All(Any):
    """Whether a bool column or a condition was true each time; bool."""

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:  # noqa: ARG002  # the shape of every aggregate
        """Say it of each pane."""
        yes, no = arrays["yes"][pane], arrays["no"][pane]
        return np.where(yes | no, (~no).astype(np.int8), MISSING_BOOL)
