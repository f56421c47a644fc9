"""What every detector has in common: the column it looks at, and the columns it adds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from operators.base import Operator, Problem, SpecError
from operators.batch import Column, Schema, Text, Type
from operators.number import problems_of_number

SIDES = ["high", "low"]
HIGH, LOW, NO_SIDE = 0, 1, -1
"""Codes of the `side` column."""


class Detector(Operator):
    """A detector: looks at one number column, adds `score`, `expected` and `side`.

    `score` is in decades of surprise: 3 means that a value this odd is expected about once in 1,000 rows.
    """

    field: str = Field(description="The number column to look at.")
    prefix: str = Field(
        "", description="Put before the names of the columns added, for a second detector on the same rows."
    )

    def outputs(self, schema: Schema) -> Mapping[str, Schema]:
        """Give the columns that came in, and `score` (float), `expected` (float) and `side` (text: high, low)."""
        problems = problems_of_number(self.field, schema)
        added = {
            f"{self.prefix}score": Type.FLOAT,
            f"{self.prefix}expected": Type.FLOAT,
            f"{self.prefix}side": Type.TEXT,
        }
        for name in added:
            if name in schema.names():
                fix = f"give this detector a prefix, such as `prefix: {self.field}_`"
                problems.append(
                    Problem(("prefix",), "names that don't exist yet", f"`{name}` exists here already", fix)
                )
                break
        if problems:
            raise SpecError(problems)
        return {"": schema.adding(added)}

    def columns(
        self, score: NDArray[np.float64], expected: NDArray[np.float64], side: NDArray[np.int32]
    ) -> dict[str, Column]:
        """Name the columns added."""
        p = self.prefix
        return {f"{p}score": score, f"{p}expected": expected, f"{p}side": Text(side, SIDES)}
